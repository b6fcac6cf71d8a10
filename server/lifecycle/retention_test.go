package lifecycle_test

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

// short keeps nothing for long and removes it at once.
func short(o *server.Options) {
	o.KeepClaims, o.KeepHistory, o.KeepWakes = time.Millisecond, time.Millisecond, time.Millisecond
	o.RetentionInterval = 5 * time.Millisecond
}

// reported tells the node how far the runner has read its wake stream, as its heartbeat does.
func (i *inbox) reported(n *node) {
	n.c.t.Helper()
	n.must(http.StatusOK, "POST", "/_electric/runners/"+runnerID+"/heartbeat", object{"lease_ms": 30_000, "wake_stream_offset": i.offset})
}

func (c *cluster) rows(of string) func() bool {
	return func() bool { return value[int](c, "SELECT count(*) FROM wakelatch."+of) == 0 }
}

const wakeEvents = `stream_messages WHERE stream_path = 'runners/r1/wake'`

func whatIsPastItsAgeIsRemoved(t story) {
	c, a, b, wakes := oneWake(t, short)
	w := a.work(wakes.next())
	w.mustAppend(b)
	wakes.reported(b)
	c.eventually(c.rows(wakeEvents), "the event that was read goes while its claim is active")
	require.Equal(t, http.StatusOK, w.heartbeat(a).status, "and the claim does not")
	w.done(b)
	c.eventually(c.rows("consumer_claims"), "the ended claim goes")
	c.eventually(c.rows("claim_events"), "and its history")
	require.Equal(t, "idle", a.status("one"))

	// What the holder of a claim that was removed sends late changes nothing, and it is told so.
	late := w.call(a, w.doneBody(w.nextOffset))
	require.Equal(t, http.StatusNotFound, late.status, "%s", late.body)
	require.Equal(t, "NOT_FOUND", late.code())
	require.Equal(t, http.StatusNotFound, w.heartbeat(b).status)
	for _, n := range []*node{a, b} {
		require.Equal(t, http.StatusUnauthorized, w.append(n).status)
		require.Equal(t, http.StatusNotFound, n.do("GET", "/_electric/claims/"+w.Consumer+"/1", nil).status)
	}
	// The next wake goes on from the generation, and the runner's cursor still leads to it.
	a.send("one", "again")
	next := wakes.next()
	require.Equal(t, w.Epoch+1, next.Generation)
	last := b.claim(next)
	last.confirm(a)
	last.mustAppend(b)
	last.done(a)
	c.eventually(c.rows("consumer_claims"), "the next claim ends and goes too")
	require.Equal(t, "idle", a.status("one"))
	c.consistent()
}

func aWakeStreamReadsFromItsFirstEvent(t story) {
	c, a, b, wakes := oneWake(t, short)
	begin := wakes.offset
	a.spawn("two", "hello")
	require.Equal(t, "demo/one/main", wakes.next().Stream)
	second := wakes.next()
	require.Equal(t, "demo/two/main", second.Stream)
	b.work(second)
	wakes.reported(a)
	c.eventually(func() bool {
		return value[int](c, "SELECT count(*) FROM wakelatch."+wakeEvents) == 1
	}, "the wake that was claimed goes, the one still out stays")

	for _, from := range []string{begin, "0000000000000001"} {
		read := b.must(http.StatusOK, "GET", "/runners/r1/wake?offset="+from, nil)
		var left []wakeEvent
		require.NoError(t, json.Unmarshal(read.body, &left))
		require.Len(t, left, 1)
		require.Equal(t, "demo/one/main", left[0].Stream)
		rest := b.must(http.StatusOK, "GET", "/runners/r1/wake?offset="+read.header.Get("Stream-Next-Offset"), nil)
		require.Equal(t, "[]", string(rest.body))
		require.Equal(t, wakes.offset, rest.header.Get("Stream-Next-Offset"), "and then it is at the tail")
		require.Equal(t, "true", rest.header.Get("Stream-Up-To-Date"))
	}
	polled := make(chan answer, 1)
	go func() {
		got, err := b.try("GET", "/runners/r1/wake?offset="+wakes.offset+"&live=long-poll&cursor=1", nil)
		if err == nil {
			polled <- got
		}
		close(polled)
	}()
	a.spawn("three", "hello")
	require.Contains(t, string((<-polled).body), "demo/three/main")
	// A message's key is remembered for as long as its stream is there.
	first := a.must(http.StatusOK, "POST", "/_electric/entities/demo/two/send", object{"payload": 1, "key": "once"})
	again := b.must(http.StatusOK, "POST", "/_electric/entities/demo/two/send", object{"payload": 1, "key": "once"})
	require.JSONEq(t, string(first.body), string(again.body))
}
