package claim_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/token"
)

// The verdict is Postgres', whatever this node's memory holds.
func TestVerify(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(2)
	h, other := claims[0], claims[1]
	write, err := r.claims.Confirm(t.Context(), h.Key)
	require.NoError(t, err)
	verify := func(h held, write string) (claim.Verified, error) { return r.claims.Verify(t.Context(), h.Key, write) }

	for _, shown := range []string{"", write} {
		v, err := verify(h, shown)
		require.NoError(t, err)
		require.Equal(t, h.Key, v.Key)
		require.Equal(t, "/demo/e000", v.EntityURL)
		require.Equal(t, runnerID, v.RunnerID)
		require.InDelta(t, 30, v.LeaseRemaining.Seconds(), 10)
	}
	claimToken := r.keyring.Sign(token.ClaimToken, token.Claim{Tenant: tenant, Consumer: h.Consumer, Epoch: h.Epoch})
	for name, of := range map[string]string{"another claim's": write, "a claim token": claimToken, "nonsense": "x"} {
		which := other
		if name != "another claim's" {
			which = h
		}
		_, err = verify(which, of)
		require.ErrorIs(t, err, claim.ErrForeignToken, name)
	}
	for _, unknown := range []claim.Key{
		{Tenant: tenant, Consumer: h.Consumer, Epoch: 2},
		{Tenant: tenant, Consumer: "w_nobody", Epoch: 1},
		{Tenant: "other", Consumer: h.Consumer, Epoch: 1},
	} {
		_, err := r.claims.Verify(t.Context(), unknown, write)
		require.ErrorIs(t, err, claim.ErrUnknownClaim)
	}

	// A lease that has ended takes nothing away until a sweep ends the claim.
	r.expire(time.Second, h.Consumer)
	v, err := verify(h, write)
	require.NoError(t, err)
	require.Zero(t, v.LeaseRemaining)

	lost := func(h held) *claim.LostError {
		_, err := verify(h, "")
		lost, ok := errors.AsType[*claim.LostError](err)
		require.True(t, ok, "got %v", err)
		return lost
	}
	r.done(other, false)
	done := lost(other)
	require.Equal(t, "done", done.Status)
	require.EqualValues(t, 1, done.CurrentEpoch)
	require.InDelta(t, 30, done.LeaseRemaining.Seconds(), 10, "its release is under way")

	r.exec(`UPDATE wakelatch.sweep_state SET last_sweep_at = statement_timestamp()`)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	r.dueNow()
	expired := lost(h)
	require.Equal(t, "expired", expired.Status)
	require.Equal(t, "expired", expired.Cause)
	require.EqualValues(t, 2, expired.CurrentEpoch, "the next wake is out")
	require.Nil(t, expired.LeaseRemaining)
	_, err = verify(h, "nonsense")
	require.ErrorIs(t, err, claim.ErrForeignToken, "a stranger is not told how a claim ended")
	r.view.Put(token.Claim{Tenant: tenant, Stream: h.path, Consumer: h.Consumer, Epoch: h.Epoch})
	require.Equal(t, "expired", lost(h).Status, "the rows decide, whatever memory holds")
	r.consistent()
}
