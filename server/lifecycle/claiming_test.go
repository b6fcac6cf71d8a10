package lifecycle_test

import (
	"net/http"

	"github.com/stretchr/testify/require"
)

const claimRounds = 10

// twoClaimsForOneWake holds the row that is claimed until both nodes want it, so that they get it at once.
func twoClaimsForOneWake(t story) {
	c, a, b, wakes := oneWake(t)
	a.must(http.StatusCreated, "POST", "/_electric/runners", object{"id": "r2", "label": "test"})
	for round := range int64(claimRounds) {
		w := c.claimTogether(wakes.nextOf(round+1), a, b)
		require.Equal(t, round+1, value[int64](c, `SELECT count(*) FROM wakelatch.consumer_claims`))
		w.confirm(b)
		w.mustAppend(a)
		w.done(b)
		w.released(a, "idle")
		a.send("one", "again")
	}
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

// claimTogether claims a wake of r1 twice on each node and tries to for r2 as often.
func (c *cluster) claimTogether(e wakeEvent, a, b *node) *wake {
	c.t.Helper()
	free := c.holdDispatch()
	defer free()
	var calls []func() (answer, error)
	for _, n := range []*node{a, b, a, b} {
		calls = append(calls,
			func() (answer, error) { return n.tryClaim(e) },
			func() (answer, error) { return n.try("POST", "/_electric/runners/r2/claim", e) })
	}
	wait := c.atOnce(calls...)
	c.blocked(2, "-- name: ")
	free()
	var won []*wake
	for i, got := range wait() {
		if i%2 == 1 {
			require.Equal(c.t, http.StatusConflict, got.status, "the wake is not for r2: %s", got.body)
			continue
		}
		require.Equal(c.t, http.StatusOK, got.status, "%s", got.body)
		won = append(won, c.readWake(got.answer))
		require.Equal(c.t, won[0].Consumer, won[len(won)-1].Consumer, "every answer names the one claim")
	}
	return won[0]
}

func lostClaimResponse(t story) {
	c, a, b, wakes := oneWake(t)
	c.finished(a, b, a, b, wakes.next())
	a.send("one", "again")
	e := wakes.nextOf(2)
	first := a.askClaim(e)
	again := b.askClaim(e)
	require.Equal(t, http.StatusOK, again.status)
	lost, w := c.readWake(first), c.readWake(again)
	require.Equal(t, lost.Consumer, w.Consumer)
	require.Equal(t, lost.Epoch, w.Epoch)
	require.Equal(t, lost.ClaimToken, w.ClaimToken)
	require.Equal(t, lost.Streams, w.Streams)
	require.Equal(t, []string{"again"}, w.input(b))
	w.confirm(a)
	late := b.askClaim(e)
	require.Equal(t, http.StatusConflict, late.status)
	require.Equal(t, "ALREADY_CLAIMED", late.code())
	w.mustAppend(b)
	w.done(b)
	w.released(a, "idle")
	over := a.askClaim(e)
	require.Equal(t, http.StatusConflict, over.status)
	require.Equal(t, "NO_PENDING_WORK", over.code())
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func twoProcessesWithOneRunnerID(t story) {
	c, a, b, wakes := oneWake(t)
	e := wakes.next()
	mine, theirs := a.claim(e), b.claim(e)
	require.Equal(t, mine.Consumer, theirs.Consumer)
	both := c.together(
		func() (answer, error) { return mine.try(a, mine.confirmBody()) },
		func() (answer, error) { return theirs.try(b, theirs.confirmBody()) },
	)
	won, lost := both[0], both[1]
	if won.status != http.StatusOK {
		won, lost = lost, won
	}
	require.Equal(t, http.StatusOK, won.status, "%s", won.body)
	require.Equal(t, http.StatusConflict, lost.status)
	require.Equal(t, "ALREADY_CONFIRMED", lost.code())
	require.NotContains(t, string(lost.body), "writeToken", "the other one gets nothing to write with")
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'confirmed'`))
	mine.done(b)
	late := theirs.call(a, theirs.confirmBody())
	require.Equal(t, http.StatusConflict, late.status, "a claim that is over is not confirmed")
	mine.released(b, "idle")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func wakeWhoseClaimGotA5xxComesAgain(t story) {
	c, a, b, wakes := oneWake(t)
	first := wakes.next()
	// The runner's claim never got through: as the real runner does, it forgets the wake. Its time comes.
	c.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp()`)
	again := wakes.next()
	require.Equal(t, first.Generation, again.Generation, "the same wake")
	require.Equal(t, first.Stream, again.Stream)
	wait := value[float64](c, `SELECT extract(epoch FROM next_attempt_at - statement_timestamp()) FROM wakelatch.entity_dispatch_state`)
	require.InDelta(t, 20, wait, 5, "the wait doubles")
	// A runner that comes back is told at once, however long it would have been.
	c.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp() + interval '1 hour'`)
	a.must(http.StatusCreated, "POST", "/_electric/runners", object{"id": runnerID, "label": "test"})
	third := wakes.next()
	require.Equal(t, first.Generation, third.Generation)
	w := b.claim(third)
	w.confirm(a)
	w.mustAppend(b)
	w.done(a)
	w.released(b, "idle")
	require.GreaterOrEqual(t, a.metric("wakelatch_wakes_emitted_again_total")+b.metric("wakelatch_wakes_emitted_again_total"), 2)
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func wakeStreamGetsAreNever4xx(t story) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.must(http.StatusOK, "POST", "/_electric/runners/"+runnerID+"/disable", nil)
	for _, n := range []*node{a, b} {
		for _, path := range []string{
			"/runners/" + runnerID + "/wake", "/runners/nobody/wake", "/runners/%00/wake", "/runners/a%2Fb/wake",
			"/v1/stream/runners/nobody/wake", "/v1/stream/runners/" + runnerID + "/wake",
		} {
			for _, query := range []string{"?offset=-1", "?offset=-1&live=long-poll", "?offset=now"} {
				got := n.do("GET", path+query, nil)
				require.Equal(t, http.StatusServiceUnavailable, got.status, "GET %s%s: %s", path, query, got.body)
				require.Equal(t, "5", got.header.Get("Retry-After"))
			}
		}
		for _, method := range []string{"PUT", "POST", "DELETE"} {
			require.Equal(t, http.StatusForbidden, n.do(method, "/runners/"+runnerID+"/wake", object{"a": 1}).status)
		}
	}
	a.must(http.StatusOK, "POST", "/_electric/runners/"+runnerID+"/enable", nil)
	b.must(http.StatusOK, "GET", "/runners/"+runnerID+"/wake?offset=-1", nil)
}
