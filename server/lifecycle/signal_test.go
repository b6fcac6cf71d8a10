package lifecycle_test

import (
	"net/http"

	"github.com/stretchr/testify/require"
)

func (c *cluster) wakeEvents() int64 {
	c.t.Helper()
	return value[int64](c, `SELECT count(*) FROM wakelatch.stream_messages WHERE stream_path = 'runners/r1/wake'`)
}

func pausedEntityMakesNoWakes(t story) {
	c, a, b, wakes := oneWake(t)
	c.finished(a, b, a, b, wakes.next())
	a.sendSignal("SIGSTOP")
	require.Equal(t, "paused", b.status("one"))
	made := c.wakeEvents()
	for range 5 {
		b.must(http.StatusOK, "POST", "/_electric/entities/demo/one/send", object{"payload": "later", "mode": "paused"})
	}
	// Every way a wake could come by itself has had its turn.
	c.exec(`UPDATE wakelatch.entity_dispatch_state SET next_attempt_at = statement_timestamp()`)
	c.eventually(func() bool {
		return value[bool](c, `SELECT next_attempt_at IS NULL FROM wakelatch.entity_dispatch_state`)
	}, "the sweep never looked")
	require.Equal(t, made, c.wakeEvents(), "no wake for a paused entity")
	require.Equal(t, "paused", a.status("one"))
	a.send("one", "now")
	require.Equal(t, "idle", b.status("one"), "a message resumes it")
	w := b.claim(wakes.next())
	require.Len(t, w.input(a), 6, "nothing that came meanwhile is lost")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func sigstopWhileRunningSticks(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	w.mustAppend(b)
	acknowledged := w.nextOffset
	b.sendSignal("SIGSTOP")
	require.Equal(t, "paused", a.status("one"))
	w.mustAppend(a)
	events := a.events("one")
	require.Contains(t, typesOf(events), "signal", "the running runner learns of it on the stream")
	w.nextOffset = acknowledged
	w.done(b)
	w.released(a, "paused")
	made := c.wakeEvents()
	b.sendSignal("SIGCONT")
	require.Equal(t, "idle", a.status("one"))
	require.Equal(t, made+1, c.wakeEvents(), "to go on is work, though no message is left")
	c.finished(b, a, b, a, wakes.next())
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func typesOf(events []object) []string {
	var types []string
	for _, e := range events {
		name, _ := e["type"].(string)
		types = append(types, name)
	}
	return types
}

func sigstopWithAWakeOutThenSigcont(t story) {
	c, a, b, wakes := oneWake(t)
	before := wakes.next()
	a.sendSignal("SIGSTOP")
	b.sendSignal("SIGCONT")
	after := wakes.next()
	require.Equal(t, before.Generation+1, after.Generation, "armed again")
	require.Equal(t, http.StatusConflict, a.askClaim(before).status)
	// A runner that asks while the entity is paused is told to forget the wake.
	b.sendSignal("SIGSTOP")
	told := b.askClaim(after)
	require.Equal(t, http.StatusOK, told.status)
	require.JSONEq(t, `{"done":true}`, string(told.body))
	a.sendSignal("SIGCONT")
	last := wakes.next()
	require.Equal(t, after.Generation+1, last.Generation, "armed again")
	w := b.claim(last)
	require.Equal(t, []string{"hello"}, w.input(a))
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func sigkillDropsTheTokenOnBothNodes(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	w.mustAppend(a)
	w.mustAppend(b)
	require.Equal(t, 1, b.metric("wakelatch_tokens"))
	a.sendSignal("SIGKILL")
	c.eventually(func() bool { return a.metric("wakelatch_tokens")+b.metric("wakelatch_tokens") == 0 }, "a node kept the token")
	for _, n := range []*node{a, b} {
		require.Equal(t, http.StatusUnauthorized, w.append(n).status, "a stale writer never sees that the stream is closed")
		require.Equal(t, http.StatusUnauthorized, w.tag(n, "red").status)
		require.Equal(t, "killed", n.status("one"))
		refused := n.do("POST", "/_electric/entities/demo/one/send", object{"payload": "more"})
		require.Equal(t, http.StatusConflict, refused.status)
		require.Equal(t, "NOT_RUNNING", refused.code())
		require.Equal(t, "true", n.do("GET", "/demo/one/main?offset=-1", nil).header.Get("Stream-Closed"))
	}
	row := w.row(b)
	require.Equal(t, "released", row.Status)
	require.Equal(t, "killed", *row.ReleaseCause)
	events := b.events("one")
	require.Equal(t, "signal", events[len(events)-1]["type"], "the signal is the last word on the stream")
	w.done(b)
	require.Equal(t, "killed", a.status("one"))
	c.consistent()
	c.sweepReleasedNothing(a, b)
}
