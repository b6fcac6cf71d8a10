package lifecycle_test

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

type entityRow struct {
	Status       string  `json:"status"`
	Version      int     `json:"version"`
	ParkedReason *string `json:"parked_reason"`
}

func (c *cluster) entityRow(a answer) entityRow {
	c.t.Helper()
	var e entityRow
	require.NoError(c.t, json.Unmarshal(a.body, &e))
	return e
}

// parkedUntilUnparked fails an entity's work until it is parked. Both nodes say so, nothing wakes it, and what
// came meanwhile is handled once an operator has un-parked it.
func parkedUntilUnparked(t story) {
	const path = "/_electric/entities/demo/one"
	c, a, b, wakes := oneWake(t, func(o *server.Options) {
		o.ParkAfter, o.Backoff, o.BackoffMax, o.SweepInterval = 3, time.Millisecond, time.Millisecond, 10*time.Millisecond
	})
	for range 2 {
		w := a.work(wakes.next())
		w.done(b)
		w.released(a, "idle")
	}
	last := b.work(wakes.next())
	heard := c.atOnce(func() (answer, error) { return b.try("GET", path+"?live=long-poll&version=6", nil) })
	last.expire()
	parked := c.entityRow(heard()[0].answer)
	require.NotNil(t, parked.ParkedReason, "whoever watches the entity on the other node hears of it")
	require.Contains(t, *parked.ParkedReason, "3 claims in a row ended without progress; the last one: expired (consumer "+last.Consumer)
	require.Equal(t, "idle", parked.Status)
	for _, n := range []*node{a, b} {
		c.eventually(func() bool { v, shown := n.sample("wakelatch_entities_parked"); return shown && v == 1 }, "the gauge does not show it")
	}

	made := c.wakeEvents()
	b.send("one", "more")
	a.sendSignal("SIGSTOP")
	b.sendSignal("SIGCONT")
	require.NotNil(t, c.entityRow(a.must(http.StatusOK, "GET", path, nil)).ParkedReason, "SIGCONT ends a pause, not a parking")
	require.Equal(t, made, c.wakeEvents())

	refused := a.must(http.StatusBadRequest, "POST", path+"/unpark", nil)
	require.Contains(t, string(refused.body), "reason")
	unparked := c.entityRow(b.must(http.StatusOK, "POST", path+"/unpark", object{"reason": "the agent is mended"}))
	require.Nil(t, unparked.ParkedReason)
	w := a.work(wakes.next())
	require.Equal(t, last.Epoch+1, w.Epoch)
	require.Equal(t, []string{"hello", "more"}, w.input(b), "nothing that came is lost")
	w.mustAppend(a)
	w.done(b)
	w.released(a, "idle")
	again := c.entityRow(a.must(http.StatusOK, "POST", path+"/unpark", object{"reason": "once more"}))
	require.Nil(t, again.ParkedReason)
	require.Equal(t, []string{"parked system:parking", "unparked /principal/user%3Aalice the agent is mended"},
		value[[]string](c, `SELECT array_agg(CASE action WHEN 'parked' THEN action || ' ' || actor ELSE concat_ws(' ', action, actor, reason) END ORDER BY at)
			FROM wakelatch.actions WHERE action IN ('parked', 'unparked')`))
	c.consistent()
}
