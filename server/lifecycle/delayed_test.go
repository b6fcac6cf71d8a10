package lifecycle_test

import (
	"encoding/json"
	"net/http"

	"github.com/stretchr/testify/require"
)

func (n *node) sendLater(id string, ms int64, key, text string) {
	n.c.t.Helper()
	n.must(http.StatusNoContent, "POST", "/_electric/entities/demo/"+id+"/send",
		object{"payload": object{"text": text}, "key": key, "afterMs": ms})
}

// delayedMessageComesOnceAndNotEarly sends with one key three times: twice for later and once, when that is over, at once.
func delayedMessageComesOnceAndNotEarly(t story) {
	c, a, b, wakes := oneWake(t)
	c.finished(a, b, a, b, wakes.next())
	accepted := value[string](c, `SELECT statement_timestamp()::text`)
	a.sendLater("one", 700, "k", "later")
	b.sendLater("one", 700, "k", "later")
	require.Len(t, b.events("one"), 2, "nothing comes early")
	w := b.claim(wakes.nextOf(2))
	require.Equal(t, []string{"later"}, w.input(a))
	require.True(t, value[bool](c, `SELECT min(created_at) >= $1::timestamptz + interval '700 milliseconds'
		FROM wakelatch.stream_messages WHERE key = 'k'`, accepted))
	c.eventually(func() bool {
		return a.metric("wakelatch_delayed_sends_total", `outcome="sent"`)+b.metric("wakelatch_delayed_sends_total", `outcome="sent"`) == 2
	}, "the other one never came due")
	var first struct {
		TxID string `json:"txid"`
	}
	repeated := a.must(http.StatusOK, "POST", "/_electric/entities/demo/one/send", object{"payload": 1, "key": "k"})
	require.NoError(t, json.Unmarshal(repeated.body, &first))
	require.Equal(t, []string{"later"}, w.input(b))
	events := b.events("one")
	headers, _ := events[len(events)-1]["headers"].(object)
	require.Equal(t, first.TxID, headers["txid"])
	c.consistent()
}

// delayedMessageForAnEntityThatIsGone is dropped, and that is told.
func delayedMessageForAnEntityThatIsGone(t story) {
	c, a, b, wakes := oneWake(t)
	c.finished(a, b, a, b, wakes.next())
	a.spawn("two", "hello")
	a.sendLater("one", 300, "", "for the one that was")
	b.sendLater("two", 300, "k", "for nobody")
	a.deleteEntity("one")
	a.must(http.StatusOK, "POST", "/_electric/entities/demo/two/signal", object{"signal": "SIGKILL"})
	b.spawn("one", "anew")
	before := len(b.events("one"))
	dropped := func(n *node) int { return n.metric("wakelatch_delayed_sends_total", `outcome="dropped"`) }
	c.eventually(func() bool { return dropped(a)+dropped(b) == 2 }, "they never came due")
	require.Len(t, b.events("one"), before)
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.actions
		WHERE action = 'send_dropped' AND entity_url = '/demo/one' AND reason LIKE '%deleted%' AND actor = '/principal/user%3Aalice'`))
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.actions
		WHERE action = 'send_dropped' AND entity_url = '/demo/two' AND reason LIKE '%killed%' AND details ->> 'key' = 'k'`))
	c.consistent()
}
