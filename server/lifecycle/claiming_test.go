package lifecycle_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func twoClaimsForOneWake(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.must(http.StatusCreated, "POST", "/_electric/runners", object{"id": "r2", "label": "test"})
	a.spawn("one", "hello")
	e := a.inbox().next()
	var wg sync.WaitGroup
	answers := make([]answer, 8)
	barrier := make(chan struct{})
	for i := range answers {
		wg.Go(func() {
			n, runner := a, "r1"
			if i%2 == 1 {
				n, runner = b, "r2"
			}
			<-barrier
			answers[i], _ = n.try("POST", "/_electric/runners/"+runner+"/claim", e)
		})
	}
	close(barrier)
	wg.Wait()
	consumers := map[string]bool{}
	for i, got := range answers {
		if i%2 == 1 {
			require.Equal(t, http.StatusConflict, got.status, "the wake is not for r2: %s", got.body)
			continue
		}
		require.Equal(t, http.StatusOK, got.status, "%s", got.body)
		consumers[c.readWake(got).Consumer] = true
	}
	require.Len(t, consumers, 1, "every answer names the one claim")
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.consumer_claims`))
	c.consistent()
}

func lostClaimResponse(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	e := a.inbox().next()
	first := a.tryClaim(e)
	again := b.tryClaim(e)
	require.Equal(t, http.StatusOK, again.status)
	lost, w := c.readWake(first), c.readWake(again)
	require.Equal(t, lost.Consumer, w.Consumer)
	require.Equal(t, lost.Epoch, w.Epoch)
	require.Equal(t, lost.ClaimToken, w.ClaimToken)
	require.Equal(t, lost.Streams, w.Streams)
	w.confirm(a)
	late := b.tryClaim(e)
	require.Equal(t, http.StatusConflict, late.status)
	require.Equal(t, "ALREADY_CLAIMED", late.code())
	w.mustAppend(b)
	w.done(b)
	w.released(a, "released", "idle")
	over := a.tryClaim(e)
	require.Equal(t, http.StatusConflict, over.status)
	require.Equal(t, "NO_PENDING_WORK", over.code())
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func twoProcessesWithOneRunnerID(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	e := a.inbox().next()
	mine, theirs := a.claim(e), b.claim(e)
	require.Equal(t, mine.Consumer, theirs.Consumer)
	statuses := make([]answer, 2)
	var wg sync.WaitGroup
	barrier := make(chan struct{})
	for i, n := range []*node{a, b} {
		wg.Go(func() {
			<-barrier
			statuses[i], _ = n.try("POST", mine.callbackPath(), object{"epoch": mine.Epoch, "wakeId": mine.WakeID},
				"Authorization", "Bearer "+mine.ClaimToken)
		})
	}
	close(barrier)
	wg.Wait()
	won, lost := statuses[0], statuses[1]
	if won.status != http.StatusOK {
		won, lost = lost, won
	}
	require.Equal(t, http.StatusOK, won.status, "%s", won.body)
	require.Equal(t, http.StatusConflict, lost.status)
	require.Equal(t, "ALREADY_CONFIRMED", lost.code())
	require.NotContains(t, string(lost.body), "writeToken", "the other one gets nothing to write with")
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'confirmed'`))
	c.consistent()
}

func wakeWhoseClaimGotA5xxComesAgain(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	wakes := b.inbox()
	first := wakes.next()
	// The runner's claim never got through: as the real runner does, it forgets the wake. Its time comes.
	c.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp()`)
	again := wakes.next()
	require.Equal(t, first.Generation, again.Generation, "the same wake")
	require.Equal(t, first.Stream, again.Stream)
	wait := value[float64](c, `SELECT extract(epoch FROM next_attempt_at - statement_timestamp()) FROM wakelatch.entity_dispatch_state`)
	require.InDelta(t, 20, wait, 5, "the wait doubles")
	// A runner that comes back is told at once.
	a.must(http.StatusCreated, "POST", "/_electric/runners", object{"id": runnerID, "label": "test"})
	third := wakes.next()
	require.Equal(t, first.Generation, third.Generation)
	w := b.claim(third)
	w.confirm(a)
	w.mustAppend(b)
	w.done(a)
	w.released(b, "released", "idle")
	require.GreaterOrEqual(t, a.metric("wakelatch_wakes_emitted_again_total")+b.metric("wakelatch_wakes_emitted_again_total"), 2.0)
	c.consistent()
}

func wakeStreamGetsAreNever4xx(t *testing.T) {
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
