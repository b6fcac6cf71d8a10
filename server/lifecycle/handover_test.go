package lifecycle_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// finished is a wake from claim to release with nothing going wrong, each call on its own node.
func (c *cluster) finished(claimOn, confirmOn, appendOn, doneOn *node, e wakeEvent) *wake {
	c.t.Helper()
	w := claimOn.claim(e)
	w.confirm(confirmOn)
	w.mustAppend(appendOn)
	w.done(doneOn)
	w.released(doneOn, "released", "idle")
	return w
}

// expire ends a claim's lease as if its time were over; the sweep takes it from there.
func (w *wake) expire() {
	w.c.t.Helper()
	w.c.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() - interval '1 second' WHERE consumer_id = $1`, w.Consumer)
}

func doneOnAnotherNode(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	wakes := b.inbox()
	w := c.finished(a, b, a, b, wakes.next())
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
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func doneTwice(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(a)
	w.mustAppend(a)
	w.done(a)
	w.done(b)
	w.released(a, "released", "idle")
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

func newerWakeTookOverBeforeALateDone(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	wakes := a.inbox()
	old := a.claim(wakes.next())
	old.confirm(a)
	old.mustAppend(a)
	old.expire()
	newer := b.claim(wakes.nextOf("one", 2))
	newer.confirm(b)
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
	newer.released(a, "released", "idle")
	c.consistent()
}

func appendAndTagAfterDone(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(b)
	// Both nodes know the token and trust it.
	w.mustAppend(a)
	w.mustAppend(b)
	require.Equal(t, http.StatusOK, w.tag(a, "red").status)
	require.Equal(t, http.StatusOK, w.tag(b, "blue").status)
	tail := a.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
	w.done(a)
	for _, n := range []*node{b, a} {
		refused := w.append(n)
		require.Equal(t, http.StatusUnauthorized, refused.status)
		require.Equal(t, "UNAUTHORIZED", refused.code())
		require.Contains(t, string(refused.body), `"message":"Invalid write token`)
		require.Equal(t, http.StatusUnauthorized, w.tag(n, "green").status)
	}
	w.released(b, "released", "idle")
	require.Equal(t, tail, a.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset"), "nothing landed after done")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func twoEntitiesOfOneRunner(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "first")
	b.spawn("two", "second")
	wakes := a.inbox()
	events := map[string]wakeEvent{}
	for len(events) < 2 {
		e := wakes.next()
		events[e.Stream] = e
	}
	one, two := a.claim(events["demo/one/main"]), b.claim(events["demo/two/main"])
	one.confirm(a)
	two.confirm(b)
	crossed := *two
	crossed.id = "one"
	require.Equal(t, http.StatusUnauthorized, crossed.append(a).status, "a token of the other entity")
	one.mustAppend(b)
	one.done(b)
	one.released(a, "released", "idle")
	require.Equal(t, "running", a.status("two"))
	two.mustAppend(a)
	two.done(a)
	two.released(b, "released", "idle")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func messageLeftByADeadRunner(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "left behind")
	wakes := a.inbox()
	dead := a.claim(wakes.next())
	dead.confirm(a)
	dead.mustAppend(a)
	dead.expire()
	next := b.claim(wakes.nextOf("one", 2))
	require.Equal(t, []string{"left behind"}, next.input(a))
	next.confirm(b)
	next.mustAppend(b)
	next.done(b)
	next.released(a, "released", "idle")
	a.send("one", "later")
	after := a.claim(wakes.nextOf("one", 3))
	require.Equal(t, []string{"later"}, after.input(b), "what was acknowledged is not handled again")
	c.consistent()
}

func messageThatLandsWhileAnEarlierIsHandled(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "earlier")
	wakes := a.inbox()
	w := a.claim(wakes.next())
	w.confirm(a)
	w.mustAppend(a)
	require.NotEmpty(t, w.nextOffset)
	acknowledged := w.nextOffset
	b.send("one", "in between")
	w.mustAppend(a)
	require.Empty(t, w.nextOffset, "the holder's own append must not acknowledge what landed in between")
	w.nextOffset = acknowledged
	w.done(b)
	next := b.claim(wakes.nextOf("one", 2))
	require.Equal(t, []string{"in between"}, next.input(a))
	c.consistent()
	c.sweepReleasedNothing(a, b)
}
