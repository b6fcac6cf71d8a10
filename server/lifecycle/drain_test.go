package lifecycle_test

import (
	"encoding/json"
	"net/http"

	"github.com/stretchr/testify/require"
)

func (n *node) setRunner(id, what string) {
	n.c.t.Helper()
	n.must(http.StatusOK, "POST", "/_electric/runners/"+id+"/"+what, object{"reason": "the machine is moved"})
}

type health struct {
	Health struct {
		Status string   `json:"status"`
		Issues []string `json:"issues"`
	} `json:"health"`
}

func drainedRunnerFinishesAndGetsNoMore(t story) {
	c, a, b, wakes := oneWake(t)
	a.must(http.StatusOK, "POST", "/_electric/runners/r1/heartbeat", object{"lease_ms": 60000})
	a.spawn("two", "hello")
	unconfirmed := a.claim(wakes.next())
	out := wakes.next()
	b.setRunner("r1", "drain")
	var h health
	require.NoError(t, json.Unmarshal(a.must(http.StatusOK, "GET", "/_electric/runners/r1/health", nil).body, &h))
	require.Equal(t, "degraded", h.Health.Status)
	require.Equal(t, []string{"draining"}, h.Health.Issues)
	// It gets nothing new: neither the wake that is out nor what is sent now.
	require.Equal(t, http.StatusNoContent, a.askClaim(out).status)
	made := c.wakeEvents()
	b.spawn("three", "hello")
	b.send("one", "again")
	c.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp() WHERE active_consumer_id IS NULL`)
	c.eventually(func() bool {
		return value[bool](c, `SELECT bool_and(next_attempt_at IS NULL) FROM wakelatch.entity_dispatch_state`)
	}, "the sweep never looked")
	require.Equal(t, made, c.wakeEvents())
	a.must(http.StatusOK, "GET", "/runners/r1/wake?offset=-1", nil)
	// It finishes what it has, also when the answer to its claim was lost.
	again, err := b.claimFor("r1", wakeEvent{Type: "wake", Stream: "demo/" + unconfirmed.id + "/main", Generation: unconfirmed.Epoch})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, again.status, "%s", again.body)
	unconfirmed.confirm(a)
	unconfirmed.mustAppend(b)
	unconfirmed.done(a)
	unconfirmed.released(b, "idle")
	c.consistent()
	require.Equal(t, made, c.wakeEvents())
	// Enabled, everything that waited comes at once: the wake that was out as it was, the rest as new ones.
	a.setRunner("r1", "enable")
	seen := map[string]int64{}
	for len(seen) < 3 {
		e := wakes.next()
		seen[e.Stream] = e.Generation
	}
	require.Equal(t, map[string]int64{"demo/one/main": 2, "demo/two/main": 1, "demo/three/main": 1}, seen)
	c.consistent()
	require.EqualValues(t, 2, value[int64](c, `SELECT count(*) FROM wakelatch.actions
		WHERE action IN ('drained', 'enabled') AND runner_id = 'r1' AND reason = 'the machine is moved'`))
}

func deletedRunnerLeavesItsWorkWaiting(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	w.mustAppend(b)
	a.spawn("two", "hello")
	out := wakes.next()
	b.must(http.StatusBadRequest, "DELETE", "/_electric/runners/r1", object{})
	b.must(http.StatusNoContent, "DELETE", "/_electric/runners/r1", object{"reason": "the machine is gone"})
	require.Equal(t, "runner_deleted", *w.row(a).ReleaseCause)
	for _, n := range []*node{a, b} {
		require.Equal(t, http.StatusUnauthorized, w.append(n).status)
		n.must(http.StatusNotFound, "GET", "/_electric/runners/r1", nil)
		got := n.do("GET", "/runners/r1/wake?offset="+wakes.offset+"&live=long-poll", nil)
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.Equal(t, "5", got.header.Get("Retry-After"))
		require.Equal(t, http.StatusNoContent, n.askClaim(out).status)
	}
	b.must(http.StatusNotFound, "DELETE", "/_electric/runners/r1", object{"reason": "again"})
	b.send("two", "more")
	require.Zero(t, c.wakeEvents())
	c.consistent()
	// A runner of the id gets all of it, and a reader that kept its offset misses nothing.
	a.must(http.StatusCreated, "POST", "/_electric/runners", object{"id": "r1", "label": "test"})
	seen := map[string]int64{}
	for len(seen) < 2 {
		e := wakes.next()
		seen[e.Stream] = e.Generation
	}
	require.Equal(t, map[string]int64{"demo/one/main": 2, "demo/two/main": 2}, seen)
	c.consistent()
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.actions WHERE action = 'runner_deleted' AND reason = 'the machine is gone'`))
}

const enableRounds = 60

// enablingRacesSending enables a runner while a message comes for it: whichever is first, a wake follows.
func enablingRacesSending(t story) {
	c, a, b, wakes := oneWake(t)
	e := wakes.next()
	for range enableRounds {
		w := a.work(e)
		w.mustAppend(a)
		w.done(a)
		w.released(b, "idle")
		a.setRunner("r1", "drain")
		both := c.together(
			func() (answer, error) { return a.trySend("one", "again") },
			func() (answer, error) {
				return b.try("POST", "/_electric/runners/r1/enable", object{"reason": "go on"})
			},
		)
		for _, got := range both {
			require.Equal(t, http.StatusOK, got.status, "%s", got.body)
		}
		e = wakes.nextOf(w.Epoch + 1)
	}
	c.consistent()
}
