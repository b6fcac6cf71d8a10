package claim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
)

// dueNow lets the entity's next attempt happen at once.
func (r *rig) dueNow() {
	r.t.Helper()
	r.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp() WHERE next_attempt_at IS NOT NULL`)
	require.NoError(r.t, r.claims.SweepOnce(r.t.Context()))
}

func (r *rig) entity() entity.Entity {
	r.t.Helper()
	e, err := r.entities.Get(r.t.Context(), tenant, "/demo/one")
	require.NoError(r.t, err)
	return e
}

// fail ends a claim without progress, each time another way.
func (r *rig) fail(h held, way string) {
	r.t.Helper()
	switch way {
	case "expired":
		r.expire(time.Second, h.Consumer)
		require.NoError(r.t, r.claims.SweepOnce(r.t.Context()))
	case "failed":
		r.done(h, true)
		r.release(h)
	case "done, but nothing acknowledged":
		r.done(h, false)
		r.release(h)
	case "handed back":
		_, err := r.claims.HandBack(r.t.Context(), h.Key, "")
		require.NoError(r.t, err)
	default:
		r.t.Fatalf("no such way: %s", way)
	}
}

// Each way in which a claim ends without progress counts, and the last of a row parks the entity with a reason.
func TestFailuresInARowPark(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"expired", "failed", "done, but nothing acknowledged", "handed back"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *claim.Options) { o.ParkAfter = 3 })
			r.spawn("one")
			generation := int64(1)
			if way == "handed back" {
				r.fail(r.claim("one", generation), way) // the first of a row is none
				generation++
			}
			for range 2 {
				r.fail(r.claim("one", generation), way)
				require.Nil(t, r.entity().ParkedReason)
				r.dueNow()
				generation++
			}
			before := r.entity()
			h := r.claim("one", generation)
			r.fail(h, way)
			r.parkedBy(h, way, 3)
			require.Greater(t, r.entity().Version, before.Version)
		})
	}
}

// parkedBy asserts that the claim's end parked the entity one, in all that this means.
func (r *rig) parkedBy(h held, way string, failures int) {
	r.t.Helper()
	want := fmt.Sprintf("%d claims in a row ended without progress; the last one: %s (consumer %s, epoch %d, runner r1)",
		failures, way, h.Consumer, h.Epoch)
	e := r.entity()
	require.NotNil(r.t, e.ParkedReason)
	require.Equal(r.t, want, *e.ParkedReason)
	require.Equal(r.t, "idle", e.Status)
	require.Equal(r.t, want, value[string](r, `SELECT reason FROM wakelatch.actions
		WHERE action = 'parked' AND actor = 'system:parking' AND entity_url = '/demo/one'`))
	require.True(r.t, value[bool](r, `SELECT next_attempt_at IS NULL AND outstanding_wake_id IS NULL FROM wakelatch.entity_dispatch_state`))
	r.consistent()
}

// A parked entity takes messages and signals and is woken by none of them, nor by the sweep.
func TestNothingWakesAParkedEntity(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.ParkAfter = 1 })
	r.spawn("one")
	h := r.claim("one", 1)
	r.fail(h, "failed")
	require.Equal(t, fmt.Sprintf("a claim ended without progress; the last one: failed (consumer %s, epoch 1, runner r1)", h.Consumer),
		*r.entity().ParkedReason)

	_, err := r.entities.Send(t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: "/demo/one", Principal: alice, Payload: json.RawMessage(`1`)})
	require.NoError(t, err)
	for _, signal := range []string{entity.SIGSTOP, entity.SIGCONT, entity.SIGINT} {
		_, _, err := r.entities.Signal(t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: "/demo/one", Principal: alice, Signal: signal})
		require.NoError(t, err)
	}
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, "idle", r.entity().Status)
	require.NotNil(t, r.entity().ParkedReason, "SIGCONT ends a pause, not a parking")
	require.Zero(t, r.emitted(2))
	require.Equal(t, 1, value[int](r, `SELECT count(*) FROM wakelatch.consumer_claims`))
	r.consistent()
}

func (r *rig) unpark(reason string) entity.Entity {
	r.t.Helper()
	e, err := r.entities.Unpark(r.t.Context(), entity.UnparkRequest{Tenant: tenant, EntityURL: "/demo/one", Actor: alice, Reason: reason})
	require.NoError(r.t, err)
	return e
}

func TestUnparkWakesAtOnceAndIsWrittenDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.ParkAfter = 2 })
	r.spawn("one")
	same := r.unpark("too early")
	require.Equal(t, r.entity(), same, "an entity that is not parked is left as it is")
	require.Zero(t, value[int](r, `SELECT count(*) FROM wakelatch.actions WHERE action = 'unparked'`))
	r.fail(r.claim("one", 1), "failed")
	r.dueNow()
	h := r.claim("one", 2)
	r.fail(h, "expired")
	r.parkedBy(h, "expired", 2)
	parked := r.entity()

	after := r.unpark("mended")
	require.Nil(t, after.ParkedReason)
	require.Equal(t, parked.Version+1, after.Version)
	require.Equal(t, 1, r.emitted(3), "woken at once")
	require.Zero(t, value[int](r, `SELECT failures FROM wakelatch.entity_dispatch_state`))
	require.Equal(t, alice+" mended", value[string](r, `SELECT actor || ' ' || reason FROM wakelatch.actions WHERE action = 'unparked'`))
	require.Equal(t, *parked.ParkedReason, value[string](r, `SELECT details ->> 'parked_reason' FROM wakelatch.actions WHERE action = 'unparked'`))

	r.fail(r.claim("one", 3), "failed")
	require.Nil(t, r.entity().ParkedReason, "the failures of before are forgotten")
	_, err := r.entities.Unpark(t.Context(), entity.UnparkRequest{Tenant: tenant, EntityURL: "/demo/nobody", Actor: alice, Reason: "x"})
	require.ErrorIs(t, err, entity.ErrNotFound)
	_, err = r.entities.Unpark(t.Context(), entity.UnparkRequest{Tenant: "other", EntityURL: "/demo/one", Actor: alice, Reason: "x"})
	require.ErrorIs(t, err, entity.ErrNotFound)
	r.consistent()
}

// Whoever waits for news of the entity hears that it is parked, also when its status does not change.
func TestParkingIsNews(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.ParkAfter = 1 })
	r.spawn("one")
	h := r.claim("one", 1)
	paused, _, err := r.entities.Signal(t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: "/demo/one", Principal: alice, Signal: entity.SIGSTOP})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	news := make(chan entity.Entity, 1)
	go func() {
		e, err := r.entities.Wait(ctx, tenant, "/demo/one", paused.Version)
		if err == nil {
			news <- e
		}
		close(news)
	}()
	r.fail(h, "expired")
	e := <-news
	require.NotNil(t, e.ParkedReason)
	require.Equal(t, "paused", e.Status)
	r.consistent()
}

func TestParkingCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.ParkAfter = -1 })
	r.spawn("one")
	for generation := range int64(claim.DefaultParkAfter + 2) {
		r.fail(r.claim("one", generation+1), "failed")
		r.dueNow()
	}
	require.Nil(t, r.entity().ParkedReason)
	require.Equal(t, 1, r.emitted(claim.DefaultParkAfter+3))
}

func TestProgressForgetsFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.ParkAfter = 2 })
	r.spawn("one")
	for generation := int64(1); generation < 7; generation += 2 {
		r.fail(r.claim("one", generation), "failed")
		r.dueNow()
		h := r.claim("one", generation+1)
		r.done(h, false, claim.Ack{Path: h.path, Offset: value[int64](r, `SELECT tail FROM wakelatch.streams WHERE kind = 'main'`)})
		r.release(h)
		_, err := r.entities.Send(t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: "/demo/one", Principal: alice, Payload: json.RawMessage(`1`)})
		require.NoError(t, err)
	}
	require.Nil(t, r.entity().ParkedReason)
	r.consistent()
}
