package claim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func (r *rig) handBack(h held, reason string) (wakeOut bool) {
	r.t.Helper()
	out, err := r.claims.HandBack(r.t.Context(), h.Key, reason)
	require.NoError(r.t, err)
	return out
}

// history is the transition, cause, actor and reason of each event of a claim, in order.
func (r *rig) history(h held) []string {
	r.t.Helper()
	return value[[]string](r, `SELECT array_agg(concat_ws(' ', transition, cause, actor, reason) ORDER BY at)
		FROM wakelatch.claim_events WHERE consumer_id = $1 AND epoch = $2`, h.Consumer, h.Epoch)
}

// A hand-back acknowledges nothing, ends the epoch's writes, and gives the work to the next claim at once. Said
// again, or after the claim ended otherwise, it changes nothing.
func TestHandBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.spawn("one")
	h := r.claim("one", 1)
	write, err := r.claims.Confirm(t.Context(), h.Key)
	require.NoError(t, err)
	for range 2 {
		require.True(t, r.handBack(h, "restart"), "the next wake is out")
		require.Equal(t, "released", r.status(h))
		require.Equal(t, 1, r.emitted(2))
	}
	require.Equal(t, []string{"claimed runner:r1", "confirmed runner:r1", "released handed_back runner:r1 restart"}, r.history(h))
	_, err = r.view.Authorize(t.Context(), tenant, h.path, write)
	require.Error(t, err)
	require.True(t, value[bool](r, `SELECT sealed_epoch = 1 FROM wakelatch.streams WHERE kind = 'main'`))
	require.True(t, value[bool](r, `SELECT failures = 0 AND acked_seq = 0 FROM wakelatch.entity_dispatch_state`))
	next := r.claim("one", 2)
	require.True(t, value[bool](r, `SELECT start_seq = 0 FROM wakelatch.consumer_claims WHERE epoch = 2`), "the input is the next claim's")
	require.False(t, r.handBack(h, "late"), "the entity is another claim's")
	require.Equal(t, "active", r.status(next))

	r.done(next, false)
	require.False(t, r.handBack(next, "too late"), "a done is not taken back")
	require.Equal(t, "active", r.status(next))
	r.release(next)
	require.Equal(t, []string{"claimed runner:r1", "done runner:r1", "released done system:job"}, r.history(next))
	_, err = r.claims.HandBack(t.Context(), claim.Key{Tenant: tenant, Consumer: "w_nobody", Epoch: 1}, "")
	require.ErrorIs(t, err, claim.ErrUnknownClaim)
	r.consistent()
}

// A runner that hands back whatever it gets does not go round and round: from its second hand-back on it waits,
// longer each time. One hand-back among other endings costs no wait.
func TestHandBacksInARowBackOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.spawn("one")
	require.True(t, r.handBack(r.claim("one", 1), ""))
	for i, want := range []float64{0.5, 1, 2} {
		require.False(t, r.handBack(r.claim("one", int64(i)+2), ""))
		require.InDelta(t, want, value[float64](r, `
			SELECT extract(epoch FROM next_attempt_at - last_released_at)::float8 FROM wakelatch.entity_dispatch_state`), 0.05)
		r.dueNow()
	}
	r.fail(r.claim("one", 5), "failed")
	r.dueNow()
	require.True(t, r.handBack(r.claim("one", 6), ""))
	require.Equal(t, 4, value[int](r, `SELECT failures FROM wakelatch.entity_dispatch_state`), "nor does it forget those of before")
	r.consistent()
}

func (r *rig) force(h held, reason string) claim.Claim {
	r.t.Helper()
	c, err := r.claims.ForceRelease(r.t.Context(), h.Key, alice, reason)
	require.NoError(r.t, err)
	return c
}

// An operator takes a claim from its holder, and the next wake is out.
func TestForceRelease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.spawn("one")
	h := r.claim("one", 1)
	write, err := r.claims.Confirm(t.Context(), h.Key)
	require.NoError(t, err)
	first := r.force(h, "it hangs")
	require.Equal(t, "released", first.Status)
	require.Equal(t, "forced", *first.ReleaseCause)
	require.Equal(t, "admin", *first.ReleasedBy)
	require.Equal(t, first, r.force(h, "again"), "one that has ended is left as it is")
	require.Equal(t, []string{"claimed runner:r1", "confirmed runner:r1", "released forced " + alice + " it hangs"}, r.history(h))
	require.Equal(t, 1, r.emitted(2))
	_, err = r.view.Authorize(t.Context(), tenant, h.path, write)
	require.Error(t, err)
	_, err = r.claims.Heartbeat(t.Context(), h.Key)
	require.ErrorIs(t, err, claim.ErrClaimLost)
	require.Equal(t, claim.DoneLate, r.done(h, false))

	r.expire(time.Second, r.claim("one", 2).Consumer)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	_, err = r.claims.ForceRelease(t.Context(), claim.Key{Tenant: tenant, Consumer: h.Consumer, Epoch: 7}, alice, "x")
	require.ErrorIs(t, err, claim.ErrUnknownClaim)
	_, err = r.claims.ForceRelease(t.Context(), claim.Key{Tenant: "other", Consumer: h.Consumer, Epoch: 1}, alice, "x")
	require.ErrorIs(t, err, claim.ErrUnknownClaim)
	r.consistent()
}

// A claim whose done is recorded is released by force before its job comes: what the done acknowledged stays
// acknowledged, what it said of the work stays said, and the job finds nothing left to do.
func TestForceReleaseKeepsTheDone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failed, acks bool
		status       string
		pending      bool
		failures     int
	}{
		"handled":            {acks: true, status: "released"},
		"failed":             {failed: true, status: "failed", pending: true, failures: 1},
		"nothing acked":      {status: "released", pending: true, failures: 1},
		"failed and handled": {failed: true, acks: true, status: "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.spawn("one")
			h := r.claim("one", 1)
			var acks []claim.Ack
			if test.acks {
				acks = []claim.Ack{{Path: h.path, Offset: value[int64](r, `SELECT tail FROM wakelatch.streams WHERE kind = 'main'`)}}
			}
			require.Equal(t, claim.DoneRecorded, r.done(h, test.failed, acks...))
			c := r.force(h, "the jobs stand still")
			require.Equal(t, test.status, c.Status)
			require.Equal(t, test.pending, value[bool](r, `SELECT last_outside_seq > acked_seq FROM wakelatch.entity_dispatch_state`))
			require.Equal(t, test.failures, value[int](r, `SELECT failures FROM wakelatch.entity_dispatch_state`))
			r.release(h)
			require.Equal(t, "forced", *r.force(h, "").ReleaseCause, "the job left it as it was")
			r.consistent()
		})
	}
}

// A hand-back and a force release whose answers are lost are done once.
func TestLostAnswersOfReleases(t *testing.T) {
	t.Parallel()
	for name, release := range map[string]func(r *rig, h held){
		"hand-back": func(r *rig, h held) { require.True(r.t, r.handBack(h, "once")) },
		"force":     func(r *rig, h held) { require.Equal(r.t, "released", r.force(h, "once").Status) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var way *dbtest.Loss
			r := newRig(t, func(o *claim.Options) { way = dbtest.NewLoss(t, o.Pool); o.Pool = way.Pool })
			h := r.claimed(1)[0]
			way.Next(1, ran...) // after the look at the claim
			release(r, h)
			require.Equal(t, 1, way.Lost())
			require.Equal(t, 1, value[int](r, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'released'`))
			require.Equal(t, 1, r.emitted(2))
			r.consistent()
		})
	}
}
