package entity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	stressEntities = 6
	stressFor      = 4 * time.Second
)

// Every operation at once, on two nodes, over few entities: no two of them ever deadlock, and afterwards the
// rows agree with each other.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	// A deadlock must be seen as one, before the lock time-out ends it.
	_, err := database.Pool.Exec(t.Context(), `ALTER DATABASE `+database.Name+` SET deadlock_timeout = '20ms'`)
	require.NoError(t, err)
	database.Pool.Reset()
	var nodes []*domain
	for range 2 {
		nodes = append(nodes, newDomainOn(t, database, func(o *claim.Options) {
			o.Lease, o.Backoff, o.BackoffMax, o.ParkAfter = 300*time.Millisecond, time.Millisecond, time.Millisecond, 1
		}))
	}
	_, err = nodes[0].runners.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r2", Owner: alice})
	require.NoError(t, err)
	for i := range stressEntities {
		_, _, err = nodes[0].entities.Spawn(t.Context(), entity.SpawnRequest{Tenant: tenant, Type: "demo", ID: fmt.Sprintf("e%d", i), Principal: alice, InitialMessage: json.RawMessage(`1`)})
		require.NoError(t, err)
	}
	s := &stress{t: t, nodes: nodes, seen: map[string]int{}}
	ctx, cancel := context.WithTimeout(t.Context(), stressFor)
	defer cancel()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := nodes[i%2]; ctx.Err() == nil; {
				s.holder(ctx, n)
			}
		})
	}
	for i, act := range []func(context.Context, *domain) error{s.send, s.send, s.signal, s.tag, s.sweep, s.sweep, s.register, s.unpark, s.force, s.move, s.drain, s.deleteRunner, s.respawn} {
		all.Go(func() {
			for n := nodes[i%2]; ctx.Err() == nil; {
				s.allow(act(ctx, n), entity.ErrNotRunning, entity.ErrNotFound, entity.ErrExists, entity.ErrUnknownRunner, runner.ErrNotFound)
			}
		})
	}
	all.Wait()
	require.Zero(t, nodes[0].count(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`))
	t.Log(s.seen)
	for _, op := range []string{"claimed", "confirmed", "appended", "tagged", "done", "handed back", "forced", "moved", "drained", "runner deleted", "respawned"} {
		require.Positive(t, s.seen[op], "nothing was ever %s", op)
	}
	for _, action := range []string{"parked", "unparked"} {
		require.Positive(t, nodes[0].count(`SELECT count(*) FROM wakelatch.actions WHERE action = $1`, action), "nothing was ever %s", action)
	}
	s.settle()
}

type stress struct {
	t     *testing.T
	nodes []*domain
	mu    sync.Mutex
	seen  map[string]int
}

func (s *stress) count(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[op]++
}

// allow fails the test for an error that is neither the test's end, a lock time-out of a slow machine nor one
// of these. Deadlocks are counted by the server.
func (s *stress) allow(err error, expected ...error) {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || pg.IsContention(err) {
		return
	}
	for _, e := range expected {
		if errors.Is(err, e) {
			return
		}
	}
	s.t.Errorf("unexpected: %v", err)
}

func dice(n int) int { return rand.N(n) } //nolint:gosec // shuffles a test

func anyEntity() string { return fmt.Sprintf("/demo/e%d", dice(stressEntities)) }

func (s *stress) other() *domain { return s.nodes[dice(len(s.nodes))] }

// holder claims whatever wake is out, works on any node, and mostly finishes.
func (s *stress) holder(ctx context.Context, d *domain) {
	target := anyEntity()
	var generation int64
	var runnerID string
	if err := d.db.Pool.QueryRow(ctx, `SELECT generation, COALESCE(outstanding_runner_id, 'r1')
		FROM wakelatch.entity_dispatch_state WHERE entity_url = $1`, target).Scan(&generation, &runnerID); err != nil || generation == 0 {
		s.allow(err)
		return
	}
	path := claim.MainStream(target)
	n, err := d.claims.Claim(ctx, claim.ClaimRequest{Tenant: tenant, RunnerID: runnerID, StreamPath: path, Generation: generation})
	s.allow(err, claim.ErrAlreadyClaimed, claim.ErrNoPendingWork, claim.ErrNotAwake, claim.ErrNothingForYou)
	if err != nil {
		return
	}
	s.count("claimed")
	key := claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch}
	if _, err = s.other().claims.Confirm(ctx, key); err != nil {
		s.allow(err, claim.ErrAlreadyConfirmed, claim.ErrClaimLost)
		return
	}
	s.count("confirmed")
	_, err = s.other().claims.Heartbeat(ctx, key)
	s.allow(err, claim.ErrClaimLost)
	holder := &stream.Holder{Consumer: n.Consumer, Epoch: n.Epoch}
	appended, err := s.other().streams.Append(ctx, stream.AppendRequest{
		Key: stream.Key{Tenant: tenant, Path: stream.Path(path)}, ContentType: "application/json", Body: []byte(`{"type":"x"}`), Holder: holder,
	})
	if s.allow(err, stream.ErrFenced); err == nil {
		s.count("appended")
	}
	_, _, err = s.other().entities.SetTag(ctx, entity.TagRequest{Tenant: tenant, EntityURL: target, Key: "k", Value: "v", Holder: holder})
	if s.allow(err, entity.ErrFenced, entity.ErrNotRunning); err == nil {
		s.count("tagged")
	}
	switch dice(8) {
	case 0:
		return // a runner that dies
	case 1, 2:
		_, err = s.other().claims.HandBack(ctx, key, "a stress test")
		if s.allow(err); err == nil {
			s.count("handed back")
		}
		return
	}
	request := claim.DoneRequest{Key: key, Failed: dice(4) == 0, Acks: []claim.Ack{{Path: path, Offset: int64(appended.End)}}}
	_, err = s.other().claims.Done(ctx, request)
	if s.allow(err); err != nil {
		return
	}
	s.count("done")
	var repeated sync.WaitGroup
	defer repeated.Wait()
	repeated.Go(func() {
		_, err := s.other().claims.Done(ctx, request)
		s.allow(err)
	})
	s.allow(s.other().claims.ReleaseDone(ctx, []args.Claim{{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch, Stream: path}}, func(pgx.Tx) error { return nil }))
}

func (s *stress) send(ctx context.Context, d *domain) error {
	_, err := d.entities.Send(ctx, entity.SendRequest{Tenant: tenant, EntityURL: anyEntity(), Principal: alice, Payload: json.RawMessage(`1`)})
	return err
}

func (s *stress) signal(ctx context.Context, d *domain) error {
	name := []string{entity.SIGSTOP, entity.SIGCONT, entity.SIGCONT, entity.SIGINT}[dice(4)]
	_, _, err := d.entities.Signal(ctx, entity.SignalRequest{Tenant: tenant, EntityURL: anyEntity(), Principal: alice, Signal: name})
	return err
}

func (s *stress) tag(ctx context.Context, d *domain) error {
	_, _, err := d.entities.SetTag(ctx, entity.TagRequest{Tenant: tenant, EntityURL: anyEntity(), Key: "k", Value: "w"})
	return err
}

func (s *stress) sweep(ctx context.Context, d *domain) error {
	if err := d.claims.SweepOnce(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *stress) register(ctx context.Context, d *domain) error {
	_, err := d.runners.Register(ctx, runner.RegisterRequest{Tenant: tenant, ID: "r1", Owner: alice, Label: "r1"})
	return err
}

func (s *stress) unpark(ctx context.Context, d *domain) error {
	_, err := d.entities.Unpark(ctx, entity.UnparkRequest{Tenant: tenant, EntityURL: anyEntity(), Actor: alice, Reason: "a stress test"})
	return err
}

// force takes whatever claim an entity has.
func (s *stress) force(ctx context.Context, d *domain) error {
	key := claim.Key{Tenant: tenant}
	err := d.db.Pool.QueryRow(ctx, `SELECT consumer_id, epoch FROM wakelatch.consumer_claims WHERE status = 'active' AND entity_url = $1`, anyEntity()).
		Scan(&key.Consumer, &key.Epoch)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && dice(10) > 0 {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := d.claims.ForceRelease(ctx, key, alice, "a stress test")
	if err == nil && *c.ReleaseCause == string(claim.CauseForced) {
		s.count("forced")
	}
	return err
}

func policyOf(runnerID string) json.RawMessage {
	return json.RawMessage(`{"targets":[{"type":"runner","runnerId":"` + runnerID + `"}]}`)
}

func anyRunner() string { return []string{"r1", "r2"}[dice(2)] }

func (s *stress) move(ctx context.Context, d *domain) error {
	_, err := d.entities.Move(ctx, entity.MoveRequest{
		Tenant: tenant, EntityURL: anyEntity(), DispatchPolicy: policyOf(anyRunner()), Actor: alice, Reason: "stress",
	})
	if err == nil {
		s.count("moved")
	}
	return err
}

func (s *stress) drain(ctx context.Context, d *domain) error {
	if dice(3) > 0 {
		return s.register(ctx, d)
	}
	id := anyRunner()
	for _, status := range []runner.AdminStatus{runner.Draining, runner.Enabled} {
		if _, err := d.runners.SetAdminStatus(ctx, runner.StatusRequest{Tenant: tenant, ID: id, Status: status, Actor: alice}); err != nil {
			return err
		}
	}
	s.count("drained")
	return nil
}

func (s *stress) deleteRunner(ctx context.Context, d *domain) error {
	if err := d.runners.Delete(ctx, runner.DeleteRequest{Tenant: tenant, ID: "r2", Actor: alice, Reason: "stress"}); err != nil {
		return err
	}
	s.count("runner deleted")
	_, err := s.other().runners.Register(ctx, runner.RegisterRequest{Tenant: tenant, ID: "r2", Owner: alice})
	return err
}

// respawn is rare, so that entities live long enough for everything else to happen to them.
func (s *stress) respawn(ctx context.Context, d *domain) error {
	if dice(5) > 0 {
		return s.send(ctx, d)
	}
	target := anyEntity()
	if err := d.entities.Delete(ctx, entity.DeleteRequest{Tenant: tenant, EntityURL: target, Actor: alice, Reason: "stress"}); err != nil {
		return err
	}
	s.count("respawned")
	_, _, err := s.other().entities.Spawn(ctx, entity.SpawnRequest{
		Tenant: tenant, Type: "demo", ID: target[len("/demo/"):], Principal: alice, InitialMessage: json.RawMessage(`1`),
	})
	return err
}

// settle lets what waits be armed, and then nothing may be missing. A batch may still be under way whose callers have
// left: what it commits without having seen its runner enabled is for a later look than one that is before it.
func (s *stress) settle() {
	d := s.nodes[0]
	require.Eventually(s.t, func() bool {
		return d.count(`SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`) == 0
	}, 10*time.Second, 20*time.Millisecond)
	for _, id := range []string{"r1", "r2"} {
		_, err := d.runners.Register(s.t.Context(), runner.RegisterRequest{Tenant: tenant, ID: id, Owner: alice, AdminStatus: runner.Enabled})
		require.NoError(s.t, err)
	}
	require.NoError(s.t, d.claims.SweepOnce(s.t.Context()))
	_, err := d.db.Pool.Exec(s.t.Context(), `UPDATE wakelatch.runners SET updated_at = statement_timestamp() - interval '1 hour'`)
	require.NoError(s.t, err)
	d.requireConsistent()
}
