package entity_test

import (
	"context"
	"encoding/json"
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
	tenant = "default"
	alice  = "/principal/user%3Aalice"
	url    = "/demo/one"
	main   = "demo/one/main"
)

// domain is the domain packages of one node on a database of the test's own, without HTTP and without
// other nodes. Jobs are inserted and stay until the test releases.
type domain struct {
	t        *testing.T
	db       *dbtest.Database
	keyring  *token.Keyring
	claims   *claim.Service
	entities *entity.Service
	runners  *runner.Service
	streams  *stream.Service
	hub      *stream.Hub
}

type silent struct{}

func (silent) Publish(...notify.Event) {}

func newDomain(t *testing.T, change ...func(*claim.Options)) *domain {
	t.Helper()
	return newDomainOn(t, dbtest.New(t), change...)
}

// newDomainOn is another node on a database.
func newDomainOn(t *testing.T, database *dbtest.Database, change ...func(*claim.Options)) *domain {
	t.Helper()
	d := &domain{t: t, db: database}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	reg := prometheus.NewRegistry()
	var err error
	d.keyring, err = token.NewKeyring(make([]byte, 32))
	require.NoError(t, err)
	client, err := jobs.New(jobs.Options{NodeID: t.Name(), Pool: d.db.Pool, Logger: logger, Registerer: reg})
	require.NoError(t, err)
	view := token.NewView(d.keyring, token.Options{Trust: time.Minute, Lookup: claim.Lookup(d.db.Pool), Registerer: reg})
	hub := stream.NewHub(stream.HubOptions{Pool: d.db.Pool, Publisher: silent{}, Registerer: reg})
	o := claim.Options{
		Pool: d.db.Pool, Jobs: client, View: view, Keyring: d.keyring, Announcer: hub, Logger: logger,
		Registerer: reg, SweepDisabled: true, SweepInterval: 50 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	d.claims = claim.New(o)
	d.hub = hub
	d.entities = entity.New(entity.Options{Pool: o.Pool, Claims: d.claims, Jobs: client, Hub: hub, Logger: logger, Registerer: reg, LongPoll: time.Second})
	d.runners = runner.New(runner.Options{Pool: d.db.Pool, Log: logger, Claims: d.claims, Nudge: d.claims.Nudge})
	d.streams = stream.New(stream.Options{Pool: d.db.Pool, Hub: hub, Logger: logger, Registerer: reg})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 3)
	go func() { stopped <- d.claims.Run(ctx) }()
	go func() { stopped <- d.entities.Run(ctx) }()
	go func() { stopped <- d.streams.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range cap(stopped) {
			require.NoError(t, <-stopped)
		}
	})
	_, err = d.runners.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r1", Owner: alice, Label: "r1"})
	require.NoError(t, err)
	_, _, err = entitytype.New(d.db.Pool, logger).Register(t.Context(), entitytype.RegisterRequest{
		Tenant: tenant, Name: "demo", DefaultDispatchPolicy: json.RawMessage(`{"targets":[{"type":"runner","runnerId":"r1"}]}`),
	})
	require.NoError(t, err)
	return d
}

func (d *domain) spawn(initial string) entity.Entity {
	d.t.Helper()
	e, txid, err := d.entities.Spawn(d.t.Context(), entity.SpawnRequest{
		Tenant: tenant, Type: "demo", ID: "one", Principal: alice, InitialMessage: json.RawMessage(initial),
	})
	require.NoError(d.t, err)
	require.NotEmpty(d.t, txid)
	return e
}

func (d *domain) send(text string) {
	d.t.Helper()
	_, err := d.entities.Send(d.t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: url, Principal: alice, Payload: json.RawMessage(text)})
	require.NoError(d.t, err)
}

// wakes are the generations on the runner's wake stream, in order.
func (d *domain) wakes() []int64 {
	d.t.Helper()
	rows, err := d.db.Pool.Query(d.t.Context(), `
		SELECT (convert_from(body, 'UTF8')::jsonb ->> 'generation')::bigint
		FROM wakelatch.stream_messages WHERE stream_path = 'runners/r1/wake' ORDER BY end_offset`)
	require.NoError(d.t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(d.t, err)
	return got
}

func (d *domain) claim(generation int64) (claim.Notification, error) {
	return d.claims.Claim(d.t.Context(), claim.ClaimRequest{Tenant: tenant, RunnerID: "r1", StreamPath: main, Generation: generation})
}

func (d *domain) release(n claim.Notification) {
	d.t.Helper()
	require.NoError(d.t, d.claims.ReleaseDone(d.t.Context(),
		[]args.Claim{{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch, Stream: main}},
		func(pgx.Tx) error { return nil }))
}

func (d *domain) status() string {
	d.t.Helper()
	e, err := d.entities.Get(d.t.Context(), tenant, url)
	require.NoError(d.t, err)
	return e.Status
}

func (d *domain) done(n claim.Notification, ack int64) string {
	d.t.Helper()
	outcome, err := d.claims.Done(d.t.Context(), claim.DoneRequest{
		Key: claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch}, Acks: []claim.Ack{{Path: main, Offset: ack}},
	})
	require.NoError(d.t, err)
	return outcome
}

func (d *domain) tail() int64 {
	d.t.Helper()
	var tail int64
	require.NoError(d.t, d.db.Pool.QueryRow(d.t.Context(), `SELECT tail FROM wakelatch.streams WHERE path = $1`, main).Scan(&tail))
	return tail
}

func (d *domain) requireConsistent() {
	d.t.Helper()
	violations, err := claim.Violations(d.t.Context(), d.db.Pool)
	require.NoError(d.t, err)
	require.Empty(d.t, violations)
}

func TestOneWake(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	e := d.spawn(`{"text":"hello"}`)
	require.Equal(t, entity.StatusIdle, e.Status)
	require.Equal(t, []int64{1}, d.wakes())

	n, err := d.claim(1)
	require.NoError(t, err)
	require.EqualValues(t, 1, n.Epoch)
	require.EqualValues(t, 1, n.StartOffset)
	require.Equal(t, entity.StatusIdle, n.Entity.Status, "the status before the claim")
	require.Equal(t, entity.StatusRunning, d.status())
	key := claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch}

	again, err := d.claim(1)
	require.NoError(t, err)
	require.Equal(t, n, again, "asked again before confirm: the same answer")

	write, err := d.claims.Confirm(t.Context(), key)
	require.NoError(t, err)
	_, err = d.keyring.Verify(token.WriteToken, main, write)
	require.NoError(t, err)
	_, err = d.claims.Confirm(t.Context(), key)
	require.ErrorIs(t, err, claim.ErrAlreadyConfirmed)
	_, err = d.claim(1)
	require.ErrorIs(t, err, claim.ErrAlreadyClaimed)
	lease, err := d.claims.Heartbeat(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, lease.TTL)

	require.Equal(t, claim.DoneRecorded, d.done(n, d.tail()))
	require.Equal(t, claim.DoneRepeated, d.done(n, d.tail()))
	require.Equal(t, entity.StatusRunning, d.status(), "done is recorded; the release is the job's")
	d.release(n)
	require.Equal(t, entity.StatusIdle, d.status())
	require.Equal(t, []int64{1}, d.wakes(), "all is acknowledged")
	got, err := d.claims.Get(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, "released", got.Status)
	require.True(t, *got.EntityCleared)
	_, err = d.claims.Heartbeat(t.Context(), key)
	require.ErrorIs(t, err, claim.ErrClaimLost)
	d.requireConsistent()
}

func TestMessageWhileRunningWakesAgain(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(`{"n":1}`)
	first := d.tail()
	n, err := d.claim(1)
	require.NoError(t, err)
	d.send(`{"n":2}`)
	require.Equal(t, []int64{1}, d.wakes(), "no wake while a claim is active")
	d.done(n, first+1) // Between two appends: rounded down to the first.
	d.release(n)
	require.Equal(t, []int64{1, 2}, d.wakes())
	next, err := d.claim(2)
	require.NoError(t, err)
	require.Equal(t, first+1, next.StartOffset)
	require.Greater(t, d.tail(), first)
	d.requireConsistent()
}

func TestSignals(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(`{"n":1}`)
	signal := func(name string) entity.Entity {
		e, _, err := d.entities.Signal(t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: url, Principal: alice, Signal: name})
		require.NoError(t, err)
		return e
	}
	require.Equal(t, entity.StatusPaused, signal(entity.SIGSTOP).Status)
	_, err := d.claim(1)
	require.ErrorIs(t, err, claim.ErrNotAwake)
	require.Equal(t, entity.StatusIdle, signal(entity.SIGCONT).Status)
	require.Equal(t, []int64{1, 2}, d.wakes(), "armed again")
	n, err := d.claim(2)
	require.NoError(t, err)
	require.Equal(t, entity.StatusPaused, signal(entity.SIGSTOP).Status)
	require.Equal(t, entity.StatusRunning, signal(entity.SIGCONT).Status)
	require.Equal(t, entity.StatusKilled, signal(entity.SIGKILL).Status)
	got, err := d.claims.Get(t.Context(), claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch})
	require.NoError(t, err)
	require.Equal(t, "released", got.Status)
	_, err = d.entities.Send(t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: url, Principal: alice, Payload: json.RawMessage(`1`)})
	require.ErrorIs(t, err, entity.ErrNotRunning)
	d.requireConsistent()
}

func TestTags(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(`{"n":1}`)
	n, err := d.claim(1)
	require.NoError(t, err)
	holder := &stream.Holder{Consumer: n.Consumer, Epoch: n.Epoch}
	e, _, err := d.entities.SetTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "color", Value: "red", Holder: holder})
	require.NoError(t, err)
	require.JSONEq(t, `{"color":"red"}`, string(e.Tags))
	d.done(n, -1)
	_, _, err = d.entities.SetTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "color", Value: "blue", Holder: holder})
	require.ErrorIs(t, err, entity.ErrFenced, "after done no tag write of this epoch lands")
	e, _, err = d.entities.DeleteTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "color"})
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(e.Tags))
}

func TestSpawnOnce(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	e := d.spawn(``)
	require.Empty(t, d.wakes(), "nothing to do")
	_, _, err := d.entities.Spawn(t.Context(), entity.SpawnRequest{Tenant: tenant, Type: "demo", ID: "one", Principal: alice})
	var exists *entity.ExistsError
	require.ErrorAs(t, err, &exists)
	require.Equal(t, e, exists.Entity)
	_, _, err = d.entities.Spawn(t.Context(), entity.SpawnRequest{Tenant: tenant, Type: "none", ID: "one", Principal: alice})
	require.ErrorIs(t, err, entity.ErrUnknownType)
}

func TestKeyedSendAddsNothingTwice(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(``)
	send := func() string {
		txid, err := d.entities.Send(t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: url, Principal: alice, Key: "k", Payload: json.RawMessage(`1`)})
		require.NoError(t, err)
		return txid
	}
	first, tail := send(), d.tail()
	require.Equal(t, first, send())
	require.Equal(t, tail, d.tail())
}

func TestExpiredClaimIsTakenOver(t *testing.T) {
	t.Parallel()
	d := newDomain(t, func(o *claim.Options) {
		o.SweepDisabled, o.Lease, o.Backoff = false, 200*time.Millisecond, 50*time.Millisecond
	})
	d.spawn(`{"n":1}`)
	old, err := d.claim(1)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.wakes()) == 2 }, 10*time.Second, 10*time.Millisecond)
	next, err := d.claim(2)
	require.NoError(t, err)
	require.Equal(t, old.StartOffset, next.StartOffset, "the dead runner's message lies in the next input range")
	require.Equal(t, claim.DoneLate, d.done(old, d.tail()))
	d.release(old)
	got, err := d.claims.Get(t.Context(), claim.Key{Tenant: tenant, Consumer: old.Consumer, Epoch: old.Epoch})
	require.NoError(t, err)
	require.Equal(t, "expired", got.Status)
	require.Equal(t, entity.StatusRunning, d.status(), "a late done changes its own row only")
	d.requireConsistent()
}
