package lifecycle_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

func confirmWithoutOrWithAForeignClaimToken(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "first")
	a.spawn("two", "second")
	wakes := a.inbox()
	w, other := a.claim(wakes.next()), a.claim(wakes.next())
	other.confirm(a)
	body := object{"epoch": w.Epoch, "wakeId": w.WakeID}
	broken := w.ClaimToken[:len(w.ClaimToken)-2] + "AA"
	if broken == w.ClaimToken {
		broken = w.ClaimToken[:len(w.ClaimToken)-2] + "BB"
	}
	for name, token := range map[string]string{
		"none": "", "garbage": "Bearer garbage", "foreign": "Bearer " + other.ClaimToken,
		"a write token": "Bearer " + other.writeToken, "a broken MAC": "Bearer " + broken,
	} {
		for _, n := range []*node{a, b} {
			headers := []string{"Authorization", token}
			if token == "" {
				headers = nil
			}
			require.Equal(t, http.StatusUnauthorized, n.do("POST", w.callbackPath(), body, headers...).status, name)
		}
	}
	require.Equal(t, int64(1), value[int64](c, `SELECT count(*) FROM wakelatch.consumer_claims WHERE confirmed_at IS NOT NULL`))
	w.confirm(b)
	c.consistent()
}

func heartbeatOnEitherNode(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(a)
	for _, n := range []*node{a, b} {
		// The lease is about to end, by the database's clock.
		c.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() + interval '3 seconds'`)
		beat := w.heartbeat(n)
		require.Equal(t, http.StatusOK, beat.status)
		require.JSONEq(t, `{"ok":true,"next_wake":false,"lease_ttl_ms":30000,"next_heartbeat_ms":10000}`, string(beat.body))
		require.Greater(t, value[float64](c,
			`SELECT extract(epoch FROM expires_at - statement_timestamp()) FROM wakelatch.claim_leases`), 25.0)
	}
	// A lease that has ended takes nothing away until the sweep seals it: a heartbeat revives it.
	w.mustAppend(b)
	w.done(b)
	w.released(a, "released", "idle")
	lost := w.heartbeat(a)
	require.Equal(t, http.StatusConflict, lost.status)
	require.Equal(t, "CLAIM_LOST", lost.code())
	c.sweepReleasedNothing(a, b)
}

func runnerThatNeverFinishes(t *testing.T) {
	c := newCluster(t, func(o *server.Options) { o.Lease = time.Second })
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	wakes := a.inbox()
	dead := a.claim(wakes.next())
	dead.confirm(a)
	dead.mustAppend(b)
	began := time.Now()
	next := b.claim(wakes.nextOf("one", 2))
	require.Less(t, time.Since(began), 3*time.Second, "lease + 2 s")
	require.Equal(t, "expired", dead.row(a).Status)
	require.Equal(t, int64(2), next.Epoch)
	require.Equal(t, http.StatusUnauthorized, dead.append(a).status)
	require.Equal(t, http.StatusUnauthorized, dead.append(b).status)
	require.Equal(t, "CLAIM_LOST", dead.heartbeat(b).code())
	next.confirm(b)
	next.mustAppend(a)
	next.done(a)
	next.released(b, "released", "idle")
	c.consistent()
}

func tokenOutlivesItsTrustDeadline(t *testing.T) {
	// Trust lasts a lease; the claim is kept alive beyond many of them.
	c := newCluster(t, func(o *server.Options) { o.Lease = 400 * time.Millisecond })
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(a)
	began := value[time.Time](c, `SELECT clock_timestamp()`)
	c.eventually(func() bool {
		require.Equal(t, http.StatusOK, w.heartbeat(b).status)
		w.mustAppend(a)
		return value[bool](c, `SELECT clock_timestamp() > $1::timestamptz + interval '3 seconds'`, began)
	}, "time stands still")
	require.Greater(t, a.metric("wakelatch_token_lookups_total"), 1.0, "the view asked again")
	w.done(b)
	w.released(a, "released", "idle")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

// dropNotifications makes every pg_notify of the database do nothing, for sessions that begin after it.
func (c *cluster) dropNotifications() {
	c.t.Helper()
	c.exec(`CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'`)
	name := value[string](c, `SELECT quote_ident(current_database())`)
	c.exec(`ALTER DATABASE ` + name + ` SET search_path = public, pg_catalog`)
}

func zombieAppendWithTheViewForcedToSayYes(t *testing.T) {
	c := newCluster(t)
	c.dropNotifications()
	deaf := c.start(withoutSweep, func(o *server.Options) { o.ReconcileInterval = time.Hour })
	b := c.start()
	b.prepare()
	b.spawn("one", "hello")
	wakes := b.inbox()
	zombie := deaf.claim(wakes.next())
	zombie.confirm(deaf)
	zombie.mustAppend(deaf)
	zombie.expire()
	next := b.claim(wakes.nextOf("one", 2))
	next.confirm(b)
	tail := b.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
	yes := deaf.metric("wakelatch_token_checks_total", `verdict="valid"`)
	refused := zombie.append(deaf)
	require.Equal(t, http.StatusUnauthorized, refused.status)
	require.Equal(t, yes+1, deaf.metric("wakelatch_token_checks_total", `verdict="valid"`), "the view must have said yes")
	require.Equal(t, 1.0, deaf.metric("wakelatch_appends_fenced_total"), "the fence alone must have held")
	require.Equal(t, tail, b.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset"))
	next.mustAppend(deaf)
	next.done(deaf)
	next.released(b, "released", "idle")
	c.consistent()
}

func everyNotifyDropped(t *testing.T) {
	c := newCluster(t, func(o *server.Options) { o.ReconcileInterval = 500 * time.Millisecond })
	c.dropNotifications()
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	wakes := b.inbox()
	w := a.claim(wakes.next())
	w.confirm(a)
	w.mustAppend(a)
	w.mustAppend(b)
	require.Equal(t, 1.0, a.metric("wakelatch_tokens"))
	require.Equal(t, 1.0, b.metric("wakelatch_tokens"))
	w.done(a)
	began := time.Now()
	c.eventually(func() bool { return a.metric("wakelatch_tokens")+b.metric("wakelatch_tokens") == 0 }, "a view kept the token")
	require.Less(t, time.Since(began), 4*time.Second)
	w.released(b, "released", "idle")
	// A reader that waits on one node learns of a message sent on the other, all the same.
	a.send("one", "again")
	c.finished(b, a, b, a, wakes.next())
	c.consistent()
}

func everySpellingOfTheMainStream(t *testing.T) {
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(a)
	stranger := wake{c: c, id: "one", Epoch: 1, writeToken: "none"}
	spellings := []string{
		"/demo/one/main", "/v1/stream/demo/one/main", "/v1/stream//demo/one/main", "/v1/stream/demo/one/main/", "/demo/one/%6dain",
		"/v1/stream/demo/one/%6D%61%69%6e", "/v1/stream/demo%2Fone%2Fmain", "/v1/stream/demo/./one/main", "/v1/stream/demo/x/../one/main",
		"/%64emo/one/main", "/v1/stream/demo//one/main", "/v1/stream/demo/one/main%00", "/v1/stream/%2Fdemo/one/main", "/demo%2Fone/main",
	}
	tail := a.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
	for _, path := range spellings {
		for _, n := range []*node{a, b} {
			refused := stranger.appendAt(n, path, 0)
			require.GreaterOrEqual(t, refused.status, 400, path)
			require.Less(t, refused.status, 500, path)
			for _, method := range []string{"PUT", "DELETE"} {
				got := n.do(method, path, nil, "Authorization", "Bearer "+w.writeToken, "Content-Type", "application/json")
				require.GreaterOrEqual(t, got.status, 400, "%s %s: %s", method, path, got.body)
			}
		}
	}
	for _, path := range []string{"/demo/one/main", "/v1/stream/demo/one/main", "/demo/one/%6dain", "/v1/stream/%64emo/one/main"} {
		require.Equal(t, http.StatusUnauthorized, stranger.appendAt(b, path, 0).status, path)
		require.Equal(t, http.StatusForbidden, b.do("DELETE", path, nil).status, path)
	}
	require.Equal(t, tail, a.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset"), "nothing landed")
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.streams WHERE path LIKE '%demo%'`), "and no stream was made beside it")
	for seq, path := range []string{"/demo/one/main", "/v1/stream/demo/one/main", "/demo/one/%6dain"} {
		require.Equal(t, http.StatusOK, w.appendAt(b, path, seq).status, strings.ToUpper(path))
	}
}
