package lifecycle_test

import (
	"net/http"

	"github.com/stretchr/testify/require"
)

// finished is a wake from claim to release with nothing going wrong, each call on its own node.
func (c *cluster) finished(claimOn, confirmOn, appendOn, doneOn *node, e wakeEvent) *wake {
	c.t.Helper()
	w := claimOn.claim(e)
	w.confirm(confirmOn)
	w.mustAppend(appendOn)
	w.done(doneOn)
	w.released(doneOn, "idle")
	return w
}

// expire ends a claim's lease as if its time were over; the sweep takes it from there.
func (w *wake) expire() {
	w.c.t.Helper()
	w.c.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() - interval '1 second' WHERE consumer_id = $1`, w.Consumer)
}

func doneOnAnotherNode(t story) {
	c, a, b, wakes := oneWake(t)
	w := c.finished(a, b, a, b, wakes.next())
	require.EqualValues(t, 1, c.wakeEvents(), "work that is acknowledged makes no wake")
	require.Equal(t, "done", *w.row(a).ReleaseCause)
	require.True(t, *w.row(b).EntityCleared)
	// Nothing is lost when every call of twenty wakes reaches the other node than the one before.
	for i := range 20 {
		a.send("one", "again")
		if i%2 == 0 {
			c.finished(a, b, a, b, wakes.next())
		} else {
			c.finished(b, a, b, a, wakes.next())
		}
	}
	require.EqualValues(t, 21, c.wakeEvents(), "one wake a message")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func doneTwice(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	w.mustAppend(a)
	w.done(a)
	w.done(b)
	w.released(a, "idle")
	w.done(b)
	w.done(a)
	without := w.doneBody(w.nextOffset)
	delete(without, "epoch")
	require.Equal(t, http.StatusOK, w.call(b, without).status, "the claim token names the epoch")
	wrong := w.doneBody(w.nextOffset)
	wrong["epoch"] = w.Epoch + 1
	require.Equal(t, "EPOCH_MISMATCH", w.call(b, wrong).code())
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM river_job`), "one done, one job")
	require.Equal(t, "released", w.row(a).Status)
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func newerWakeTookOverBeforeALateDone(t story) {
	c, a, b, wakes := oneWake(t)
	old := a.work(wakes.next())
	old.mustAppend(a)
	old.expire()
	newer := b.work(wakes.nextOf(2))
	old.done(a)
	c.eventually(func() bool {
		return value[int64](c, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'done_late'`) == 1
	}, "the late done never reached its job")
	require.Equal(t, "expired", old.row(b).Status)
	require.NotNil(t, old.row(b).DoneAt)
	require.Equal(t, "active", newer.row(a).Status)
	require.Equal(t, "running", a.status("one"))
	for _, n := range []*node{a, b} {
		newer.mustAppend(n)
		require.Equal(t, http.StatusOK, newer.tag(n, "red").status)
	}
	newer.done(b)
	newer.released(a, "idle")
	c.consistent()
}

func appendAndTagAfterDone(t story) {
	c, a, b, wakes := oneWake(t)
	third := c.start()
	w := a.claim(wakes.next())
	w.confirm(b)
	// Every node knows the token and trusts it.
	for _, n := range []*node{a, b, third} {
		w.mustAppend(n)
		require.Equal(t, http.StatusOK, w.tag(n, "red").status)
		require.Equal(t, 1, n.metric("wakelatch_tokens"))
	}
	tail := a.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
	// The release cannot begin, so nobody has told the others: only the done itself can stop the writer.
	free := c.holdDispatch()
	defer free()
	w.done(a)
	require.Zero(t, a.metric("wakelatch_tokens"), "the node that answers drops its own")
	require.Equal(t, 1, b.metric("wakelatch_tokens"))
	require.Equal(t, 1, third.metric("wakelatch_tokens"))
	w.fenced(b)
	yes := third.metric("wakelatch_token_checks_total", `verdict="valid"`)
	require.Equal(t, http.StatusUnauthorized, w.tag(third, "green").status)
	require.Equal(t, yes+1, third.metric("wakelatch_token_checks_total", `verdict="valid"`), "the view must have said yes")
	for _, n := range []*node{a, b, third} {
		refused := w.append(n)
		require.Equal(t, http.StatusUnauthorized, refused.status)
		require.Equal(t, "UNAUTHORIZED", refused.code())
		require.Contains(t, string(refused.body), `"message":"Invalid write token`)
		require.Equal(t, http.StatusUnauthorized, w.tag(n, "green").status)
	}
	require.Equal(t, "active", w.row(a).Status)
	free()
	w.released(b, "idle")
	require.Equal(t, tail, a.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset"), "nothing landed after done")
	c.consistent()
	c.sweepReleasedNothing(a, b, third)
}

func twoEntitiesOfOneRunner(t story) {
	c, a, b, wakes := oneWake(t)
	b.spawn("two", "second")
	events := map[string]wakeEvent{}
	for len(events) < 2 {
		e := wakes.next()
		events[e.Stream] = e
	}
	one, two := a.work(events["demo/one/main"]), b.work(events["demo/two/main"])
	crossed := *two
	crossed.id = "one"
	require.Equal(t, http.StatusUnauthorized, crossed.append(a).status, "a token of the other entity")
	one.mustAppend(b)
	one.done(b)
	one.released(a, "idle")
	require.Equal(t, "running", a.status("two"))
	two.mustAppend(a)
	two.done(a)
	two.released(b, "idle")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func messageLeftByADeadRunner(t story) {
	c, a, b, wakes := oneWake(t)
	dead := a.work(wakes.next())
	dead.mustAppend(a)
	dead.expire()
	next := b.claim(wakes.nextOf(2))
	require.Equal(t, []string{"hello"}, next.input(a))
	next.confirm(b)
	next.mustAppend(b)
	next.done(b)
	next.released(a, "idle")
	a.send("one", "later")
	after := a.claim(wakes.nextOf(3))
	require.Equal(t, []string{"later"}, after.input(b), "what was acknowledged is not handled again")
	c.consistent()
}

func messageThatLandsWhileAnEarlierIsHandled(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	w.mustAppend(a)
	require.NotEmpty(t, w.nextOffset)
	acknowledged := w.nextOffset
	b.send("one", "in between")
	w.mustAppend(a)
	require.Empty(t, w.nextOffset, "the holder's own append must not acknowledge what landed in between")
	w.nextOffset = acknowledged
	w.done(b)
	next := b.claim(wakes.nextOf(2))
	require.Equal(t, []string{"in between"}, next.input(a))
	c.consistent()
	c.sweepReleasedNothing(a, b)
}
