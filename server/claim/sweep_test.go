package claim_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/server/token"
)

// A heartbeat comes between the sweep's look and its locks: the claim goes on, and with it its token, on
// this node and on every other.
func TestRevivedLeaseKeepsItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.claimed(1)[0]
	write, err := r.claims.Confirm(t.Context(), h.Key)
	require.NoError(t, err)
	r.expire(time.Second)
	listener, err := pgx.Connect(t.Context(), r.db.DSN)
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close(context.WithoutCancel(t.Context()))) }()
	_, err = listener.Exec(t.Context(), "LISTEN "+notify.Channel)
	require.NoError(t, err)

	holder, err := r.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	// What a heartbeat of another node does, in the middle of its transaction.
	_, err = holder.Exec(t.Context(), `UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() + interval '30 seconds'`)
	require.NoError(t, err)
	swept := make(chan error, 1)
	go func() { swept <- r.claims.SweepOnce(t.Context()) }()
	r.blocked(1)
	require.NoError(t, holder.Commit(t.Context()))
	require.NoError(t, <-swept)

	require.Equal(t, "active", r.status(h))
	r.exec(`SELECT pg_notify($1, 'the last one')`, notify.Channel)
	for {
		n, err := listener.WaitForNotification(t.Context())
		require.NoError(t, err)
		if n.Payload == "the last one" {
			break
		}
		events, err := notify.Decode(n.Payload)
		require.NoError(t, err)
		for _, e := range events {
			require.NotEqual(t, notify.KindClaim, e.Kind, "the nodes were told that a living claim is over")
		}
	}
	_, err = r.view.Authorize(t.Context(), tenant, h.path, write)
	require.NoError(t, err)
}

// A full batch that the sweep may not release, here because no sweep can be younger than a grace of nothing,
// is left to the next turn.
func TestSweepThatCanReleaseNothingEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.SweepInterval = time.Microsecond })
	r.exec(`
		INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
		SELECT 'default', 'w' || n, 1, '/demo/x' || n, 'demo/x' || n || '/main', 'r1', 'idle', 0 FROM generate_series(1, 200) n`)
	r.exec(`
		INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, generation, active_consumer_id, active_runner_id, active_epoch, active_claimed_at)
		SELECT 'default', '/demo/x' || n, 1, 'w' || n, 'r1', 1, statement_timestamp() FROM generate_series(1, 200) n`)
	r.exec(`
		INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at)
		SELECT 'default', 'w' || n, 1, statement_timestamp() - interval '1 hour' FROM generate_series(1, 200) n`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, r.claims.SweepOnce(ctx))
}

// A claim whose release fails every time does not keep the sweep from the others.
func TestOneBadClaimHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(3)
	r.poison(claims[1])
	r.expire(time.Second)
	require.Error(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, "expired", r.status(claims[0]))
	require.Equal(t, "active", r.status(claims[1]))
	require.Equal(t, "expired", r.status(claims[2]))
}

// poison makes every release of the claim fail.
func (r *rig) poison(h held) {
	r.t.Helper()
	r.exec(fmt.Sprintf(`ALTER TABLE wakelatch.consumer_claims ADD CONSTRAINT poison CHECK (consumer_id <> '%s' OR released_at IS NULL) NOT VALID`, h.Consumer))
}

// No node swept for a minute: a lease that lived when that began is given another one, a lease that was over
// by then is not.
func TestNobodyExpiresBecauseWeWereAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(2)
	r.exec(`UPDATE wakelatch.sweep_state SET last_sweep_at = statement_timestamp() - interval '1 minute'`)
	r.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() - CASE consumer_id WHEN $1 THEN interval '50 seconds' ELSE interval '70 seconds' END`, claims[0].Consumer)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, "active", r.status(claims[0]))
	require.Equal(t, "expired", r.status(claims[1]))
	left := value[float64](r, `SELECT extract(epoch FROM expires_at - statement_timestamp())::float8 FROM wakelatch.claim_leases`)
	require.InDelta(t, 30, left, 10, "a whole lease more")

	r.expire(time.Second)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, "expired", r.status(claims[0]), "after a sweep a lease that ends has ended")
	r.consistent()
}

// Two nodes come back at once: one of them sees the gap, and the other does not expire what is extended.
func TestTwoSweepsAfterAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(8)
	for range 10 {
		r.expire(50 * time.Second)
		r.exec(`UPDATE wakelatch.sweep_state SET last_sweep_at = statement_timestamp() - interval '1 minute'`)
		swept := make(chan error, 4)
		for range cap(swept) {
			go func() { swept <- r.claims.SweepOnce(t.Context()) }()
		}
		for range cap(swept) {
			require.NoError(t, <-swept)
		}
		for _, h := range claims {
			require.Equal(t, "active", r.status(h))
		}
	}
}

// A wake that nobody claims is appended again, the same one, after 10 s, 20 s, 40 s and so on up to 5 minutes.
func TestUnclaimedWakeComesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.spawn("one")
	wait := func() float64 {
		return value[float64](r, `SELECT extract(epoch FROM next_attempt_at - statement_timestamp())::float8 FROM wakelatch.entity_dispatch_state`)
	}
	require.InDelta(t, 10, wait(), 2)
	for i, want := range []float64{20, 40, 80, 160, 300, 300} {
		require.NoError(t, r.claims.SweepOnce(t.Context()))
		require.Equal(t, i+1, r.emitted(1), "not before its time")
		r.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp()`)
		require.NoError(t, r.claims.SweepOnce(t.Context()))
		require.Equal(t, i+2, r.emitted(1))
		require.InDelta(t, want, wait(), 2)
	}
	h := r.claim("one", 1)
	require.EqualValues(t, 1, h.Epoch)
	require.Equal(t, 1, value[int](r, `SELECT count(*) FROM wakelatch.consumer_claims`))
}

// emitted counts the wake events of a generation.
func (r *rig) emitted(generation int64) int {
	r.t.Helper()
	return value[int](r, `
		SELECT count(*) FROM wakelatch.stream_messages
		WHERE stream_path = 'runners/r1/wake' AND (convert_from(body, 'UTF8')::jsonb ->> 'generation')::bigint = $1`, generation)
}

// A wake that was not appended again when its time came is as lost as one that was never made.
func TestForgottenWakeIsAViolation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.spawn("one")
	r.consistent()
	r.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp() - interval '1 minute'`)
	violations, err := claim.Violations(t.Context(), r.db.Pool)
	require.NoError(t, err)
	require.Len(t, violations, 1)
	require.Equal(t, "I8", violations[0].Invariant)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	r.consistent()
}

// Work that is not done waits twice as long after each failure; work that is done forgets them.
func TestFailuresBackOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.BackoffMax = 3 * time.Second })
	r.spawn("one")
	for i, want := range []float64{0.5, 1, 2, 3, 3} {
		generation := int64(i + 1)
		h := r.claim("one", generation)
		require.Equal(t, claim.DoneRecorded, r.done(h, true))
		r.release(h)
		require.Equal(t, "failed", r.status(h))
		require.Zero(t, r.emitted(generation+1), "not at once")
		require.InDelta(t, want, value[float64](r, `
			SELECT extract(epoch FROM next_attempt_at - last_released_at)::float8 FROM wakelatch.entity_dispatch_state`), 0.05)
		r.consistent()
		r.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp()`)
		require.NoError(t, r.claims.SweepOnce(t.Context()))
		require.Equal(t, 1, r.emitted(generation+1))
	}
	h := r.claim("one", 6)
	r.done(h, false, claim.Ack{Path: h.path, Offset: value[int64](r, `SELECT tail FROM wakelatch.streams WHERE kind = 'main'`)})
	r.release(h)
	require.Equal(t, "released", r.status(h))
	require.Zero(t, value[int](r, `SELECT failures FROM wakelatch.entity_dispatch_state`))
	r.consistent()
}

// What is over says how: the real runner stops on it, and an operator reads it.
func TestEndedClaimsAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(3)
	finished, expired, unknown := claims[0], claims[1], claims[2].Key
	unknown.Consumer = "w_nobody"
	lost := func(err error, status, cause string) {
		t.Helper()
		var e *claim.LostError
		require.ErrorAs(t, err, &e)
		require.Equal(t, [2]string{status, cause}, [2]string{e.Status, e.Cause})
	}
	confirm := func(h held) error {
		_, err := r.claims.Confirm(t.Context(), h.Key)
		return err
	}
	heartbeat := func(h held) error {
		_, err := r.claims.Heartbeat(t.Context(), h.Key)
		return err
	}
	r.done(finished, false)
	lost(confirm(finished), "done", "")
	require.NoError(t, heartbeat(finished), "one that crosses its done on the way hurts nobody")
	r.release(finished)
	lost(confirm(finished), "released", "done")
	lost(heartbeat(finished), "released", "done")

	r.expire(time.Second, expired.Consumer)
	require.NoError(t, heartbeat(expired), "a lease that ended takes nothing away by itself")
	r.expire(time.Second, expired.Consumer)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	lost(confirm(expired), "expired", "expired")
	lost(heartbeat(expired), "expired", "expired")
	require.Equal(t, claim.DoneLate, r.done(expired, false))
	require.Equal(t, claim.DoneRepeated, r.done(expired, false))

	for _, err := range []error{
		confirm(held{Key: unknown}), heartbeat(held{Key: unknown}),
		func() error { _, err := r.claims.Done(t.Context(), claim.DoneRequest{Key: unknown}); return err }(),
		func() error { _, err := r.claims.Get(t.Context(), unknown); return err }(),
	} {
		require.ErrorIs(t, err, claim.ErrUnknownClaim)
	}
	require.NoError(t, confirm(claims[2]))
	r.consistent()
}

// Every notification of a release was lost, those from before the reconcile's first turn among them.
func TestReconcileDropsWhatNobodyWasToldOf(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(3)
	other := token.NewView(r.keyring, token.Options{Trust: time.Hour, Lookup: claim.Lookup(r.db.Pool)})
	deaf := claim.New(claim.Options{
		Pool: r.db.Pool, Jobs: r.jobs, View: other, Keyring: r.keyring, Logger: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(), SweepDisabled: true,
	})
	require.NoError(t, deaf.Resync(t.Context()))
	require.Equal(t, 3, other.Len())
	reconciler := deaf.NewReconciler()
	r.done(claims[0], false)
	r.release(claims[0])
	r.exec(`UPDATE wakelatch.consumer_claims SET released_at = released_at - interval '30 seconds' WHERE released_at IS NOT NULL`)
	require.NoError(t, reconciler.Reconcile(t.Context()))
	require.Equal(t, 2, other.Len())

	// A transaction is seen when it commits, which may be seconds after its time stamp.
	r.done(claims[1], false)
	r.release(claims[1])
	r.exec(`UPDATE wakelatch.consumer_claims SET released_at = released_at - interval '9 seconds' WHERE consumer_id = $1`, claims[1].Consumer)
	require.NoError(t, reconciler.Reconcile(t.Context()))
	require.Equal(t, 1, other.Len())
}
