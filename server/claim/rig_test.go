package claim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/jobs"
	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const (
	tenant   = "default"
	alice    = "/principal/user%3Aalice"
	runnerID = "r1"
	patience = 20 * time.Second
)

// rig is the claims of one node and what they work on, in a database of the test's own. It sweeps and works
// jobs only when the test says so.
type rig struct {
	t        *testing.T
	db       *dbtest.Database
	jobs     *jobs.Client
	view     *token.View
	keyring  *token.Keyring
	claims   *claim.Service
	entities *entity.Service
}

type silent struct{}

func (silent) Publish(...notify.Event) {}

func newRig(t *testing.T, changes ...func(*claim.Options)) *rig {
	t.Helper()
	r := &rig{t: t, db: dbtest.New(t)}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	reg := prometheus.NewRegistry()
	var err error
	r.keyring, err = token.NewKeyring(make([]byte, 32))
	require.NoError(t, err)
	r.jobs, err = jobs.New(jobs.Options{NodeID: "node", Pool: r.db.Pool, Logger: logger, Registerer: reg})
	require.NoError(t, err)
	r.view = token.NewView(r.keyring, token.Options{Trust: time.Minute, Lookup: claim.Lookup(r.db.Pool), Registerer: reg})
	hub := stream.NewHub(stream.HubOptions{Pool: r.db.Pool, Publisher: silent{}, Registerer: reg})
	o := claim.Options{
		Pool: r.db.Pool, Jobs: r.jobs, View: r.view, Keyring: r.keyring, Announcer: hub, Logger: logger, Registerer: reg,
		SweepDisabled: true,
	}
	for _, change := range changes {
		change(&o)
	}
	r.claims = claim.New(o)
	r.entities = entity.New(entity.Options{Pool: r.db.Pool, Claims: r.claims, Hub: hub, Logger: logger, Registerer: reg})
	r.run(r.claims.Run, r.entities.Run)
	_, err = runner.New(runner.Options{Pool: r.db.Pool, Log: logger}).Register(t.Context(),
		runner.RegisterRequest{Tenant: tenant, ID: runnerID, Owner: alice})
	require.NoError(t, err)
	_, _, err = entitytype.New(r.db.Pool, logger).Register(t.Context(), entitytype.RegisterRequest{
		Tenant: tenant, Name: "demo", DefaultDispatchPolicy: json.RawMessage(`{"targets":[{"type":"runner","runnerId":"r1"}]}`),
	})
	require.NoError(t, err)
	return r
}

func (r *rig) run(loops ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	stopped := make(chan error, len(loops))
	for _, loop := range loops {
		go func() { stopped <- loop(ctx) }()
	}
	r.t.Cleanup(func() {
		cancel()
		for range loops {
			require.NoError(r.t, <-stopped)
		}
	})
}

// work works jobs until the test ends.
func (r *rig) work() {
	r.t.Helper()
	require.NoError(r.t, r.jobs.Start(context.WithoutCancel(r.t.Context()), r.claims, r.entities))
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
		defer cancel()
		require.NoError(r.t, r.jobs.Stop(ctx))
	})
}

// held is a claim of one of the rig's entities.
type held struct {
	claim.Key
	path string
}

func (h held) arg() args.Claim {
	return args.Claim{Tenant: h.Tenant, Consumer: h.Consumer, Epoch: h.Epoch, Stream: h.path}
}

// spawn makes an entity with a message.
func (r *rig) spawn(id string) {
	r.t.Helper()
	_, _, err := r.entities.Spawn(r.t.Context(), entity.SpawnRequest{
		Tenant: tenant, Type: "demo", ID: id, Principal: alice, InitialMessage: json.RawMessage(`"hello"`),
	})
	require.NoError(r.t, err)
}

// claim takes an entity's wake of this generation.
func (r *rig) claim(id string, generation int64) held {
	r.t.Helper()
	path := "demo/" + id + "/main"
	n, err := r.claims.Claim(r.t.Context(), claim.ClaimRequest{Tenant: tenant, RunnerID: runnerID, StreamPath: path, Generation: generation})
	require.NoError(r.t, err)
	return held{Key: claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch}, path: path}
}

// claimed are n new entities, each with its first wake claimed.
func (r *rig) claimed(n int) []held {
	r.t.Helper()
	all := make([]held, n)
	for i := range all {
		id := fmt.Sprintf("e%03d", i)
		r.spawn(id)
		all[i] = r.claim(id, 1)
	}
	return all
}

func (r *rig) done(h held, failed bool, acks ...claim.Ack) string {
	r.t.Helper()
	outcome, err := r.claims.Done(r.t.Context(), claim.DoneRequest{Key: h.Key, Failed: failed, Acks: acks})
	require.NoError(r.t, err)
	return outcome
}

// release does the work of the claims' job.
func (r *rig) release(claims ...held) {
	r.t.Helper()
	list := make([]args.Claim, len(claims))
	for i, h := range claims {
		list[i] = h.arg()
	}
	require.NoError(r.t, r.claims.ReleaseDone(r.t.Context(), list, func(pgx.Tx) error { return nil }))
}

func (r *rig) status(h held) string {
	r.t.Helper()
	c, err := r.claims.Get(r.t.Context(), h.Key)
	require.NoError(r.t, err)
	return c.Status
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	_, err := r.db.Pool.Exec(r.t.Context(), sql, args...)
	require.NoError(r.t, err)
}

func value[T any](r *rig, sql string, args ...any) T {
	r.t.Helper()
	var v T
	require.NoError(r.t, r.db.Pool.QueryRow(r.t.Context(), sql, args...).Scan(&v))
	return v
}

// expire ends leases as if their time were over while nodes swept; without consumers every claim's.
func (r *rig) expire(ago time.Duration, consumers ...string) {
	r.t.Helper()
	r.exec(`UPDATE wakelatch.sweep_state SET last_sweep_at = statement_timestamp()`)
	r.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() - $1::interval
		WHERE cardinality($2::text[]) = 0 OR consumer_id = ANY ($2::text[])`, ago, append([]string{}, consumers...))
}

// blocked waits until n statements of the test's database wait for a lock.
func (r *rig) blocked(n int) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		return value[int](r, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == n
	}, patience, 5*time.Millisecond)
}

func (r *rig) consistent() {
	r.t.Helper()
	violations, err := claim.Violations(r.t.Context(), r.db.Pool)
	require.NoError(r.t, err)
	require.Empty(r.t, violations)
}
