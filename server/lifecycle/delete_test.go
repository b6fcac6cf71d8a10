package lifecycle_test

import (
	"net/http"

	"github.com/stretchr/testify/require"
)

func (n *node) deleteEntity(id string) {
	n.c.t.Helper()
	n.must(http.StatusNoContent, "DELETE", "/_electric/entities/demo/"+id, object{"reason": "it is not needed"})
}

// respawnedUnderItsOldName makes the two nodes deaf: one of them learns nothing of the deletion, and must accept
// the new token and refuse the old one all the same.
func respawnedUnderItsOldName(t story) {
	c := newCluster(t)
	c.dropNotifications()
	a, deaf := c.start(), c.start()
	wakes := a.oneWake()
	old := a.work(wakes.next())
	old.mustAppend(a)
	old.mustAppend(deaf)
	a.deleteEntity("one")
	require.Equal(t, 1, deaf.metric("wakelatch_tokens"), "it must not know")
	yes := deaf.metric("wakelatch_token_checks_total", `verdict="valid"`)
	require.Equal(t, http.StatusUnauthorized, old.append(deaf).status, "gone, and nobody's yet")
	require.Equal(t, yes+1, deaf.metric("wakelatch_token_checks_total", `verdict="valid"`), "the view must have said yes")
	require.Equal(t, http.StatusUnauthorized, old.tag(deaf, "red").status)
	for _, n := range []*node{a, deaf} {
		n.must(http.StatusNotFound, "GET", "/_electric/entities/demo/one", nil)
		n.must(http.StatusNotFound, "GET", "/demo/one/main?offset=-1", nil)
		n.must(http.StatusNotFound, "POST", "/_electric/entities/demo/one/send", object{"payload": 1})
		n.must(http.StatusNotFound, "DELETE", "/_electric/entities/demo/one", object{"reason": "again"})
	}
	row := old.row(deaf)
	require.Equal(t, "released", row.Status)
	require.Equal(t, "deleted", *row.ReleaseCause)

	a.spawn("one", "anew")
	e := wakes.nextOf(2)
	require.Equal(t, old.Epoch+1, e.Generation, "epochs go on")
	require.Equal(t, http.StatusUnauthorized, old.append(deaf).status)
	next := a.work(e)
	require.Equal(t, []string{"anew"}, next.input(deaf), "nothing of the old stream is input")
	for _, n := range []*node{deaf, a, deaf} {
		require.Equal(t, http.StatusUnauthorized, old.append(n).status)
		next.mustAppend(n)
		require.Equal(t, http.StatusOK, next.tag(n, "green").status)
		require.Equal(t, http.StatusUnauthorized, old.tag(n, "red").status)
	}
	// The old holder's late done is answered, and changes its own row only.
	before := c.handOver("one")
	old.done(deaf)
	c.eventually(func() bool {
		return value[int64](c, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'done_late'`) == 1
	}, "the late done never reached its job")
	require.Equal(t, before, c.handOver("one"))
	require.Equal(t, "deleted", *old.row(a).ReleaseCause)
	next.mustAppend(deaf)
	next.done(deaf)
	next.released(a, "idle")
	c.consistent()
}

// deletionOfALargeEntity deletes more than one statement takes, while somebody reads it.
func deletionOfALargeEntity(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	c.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
		SELECT 'default', 'demo/one/main', s.tail + 20 * n, '{"type":"text"}' FROM wakelatch.streams s, generate_series(1, 30000) n
		WHERE s.path = 'demo/one/main'`)
	c.exec(`UPDATE wakelatch.streams SET tail = tail + 20 * 30000 WHERE path = 'demo/one/main'`)
	c.exec(`INSERT INTO wakelatch.stream_producers (tenant_id, stream_path, producer_id, epoch, last_seq, end_offset)
		SELECT 'default', 'demo/one/main', 'p' || n, 0, 0, 0 FROM generate_series(1, 5000) n`)
	tail := a.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
	wait := c.atOnce(func() (answer, error) {
		return b.try("GET", "/demo/one/main?live=long-poll&offset="+tail, nil)
	})
	c.eventually(func() bool { return b.metric("wakelatch_long_polls") == 1 }, "nobody waits")
	a.deleteEntity("one")
	wait()
	require.Zero(t, value[int64](c, `SELECT (SELECT count(*) FROM wakelatch.stream_messages WHERE stream_path = 'demo/one/main')
		+ (SELECT count(*) FROM wakelatch.stream_producers) + (SELECT count(*) FROM wakelatch.entities)
		+ (SELECT count(*) FROM wakelatch.streams WHERE kind = 'main')`))
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.actions WHERE action = 'entity_deleted' AND reason = 'it is not needed'`))
	require.Equal(t, http.StatusUnauthorized, w.append(b).status)
	b.spawn("one", "anew")
	require.Len(t, b.events("one"), 1)
	c.consistent()
	c.sweepReleasedNothing(a, b)
}
