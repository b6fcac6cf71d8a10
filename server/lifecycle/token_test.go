package lifecycle_test

import (
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

func confirmWithoutOrWithAForeignClaimToken(t story) {
	c, a, b, wakes := oneWake(t)
	a.spawn("two", "hello")
	w, other := a.claim(wakes.next()), a.claim(wakes.next())
	other.confirm(a)
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
			require.Equal(t, http.StatusUnauthorized, n.do("POST", w.callback, w.confirmBody(), headers...).status, name)
		}
	}
	require.Equal(t, int64(1), value[int64](c, `SELECT count(*) FROM wakelatch.consumer_claims WHERE confirmed_at IS NOT NULL`))
	w.confirm(b)
	// Neither of a claim's two tokens does what the other is for.
	swapped := *w
	swapped.ClaimToken, swapped.writeToken = w.writeToken, w.ClaimToken
	for _, n := range []*node{a, b} {
		require.Equal(t, http.StatusUnauthorized, swapped.heartbeat(n).status)
		require.Equal(t, http.StatusUnauthorized, swapped.call(n, w.doneBody("")).status)
		require.Equal(t, http.StatusUnauthorized, swapped.append(n).status)
		require.Equal(t, http.StatusUnauthorized, swapped.tag(n, "red").status)
	}
	w.mustAppend(a)
	w.done(a)
	w.released(b, "idle")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func heartbeatOnEitherNode(t story) {
	// Nobody sweeps: a lease that has ended takes nothing away until somebody seals it, and a heartbeat revives it.
	c, a, b, wakes := oneWake(t, withoutSweep)
	w := a.work(wakes.next())
	for _, n := range []*node{a, b} {
		// The lease is about to end, by the database's clock.
		c.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() + interval '3 seconds'`)
		beat := w.heartbeat(n)
		require.Equal(t, http.StatusOK, beat.status)
		require.JSONEq(t, `{"ok":true,"next_wake":false,"lease_ttl_ms":30000,"next_heartbeat_ms":10000}`, string(beat.body))
		require.Greater(t, value[float64](c,
			`SELECT extract(epoch FROM expires_at - statement_timestamp()) FROM wakelatch.claim_leases`), 25.0)
	}
	for _, n := range []*node{a, b} {
		w.expire()
		w.mustAppend(n)
		require.Equal(t, http.StatusOK, w.heartbeat(n).status)
		require.Greater(t, value[float64](c,
			`SELECT extract(epoch FROM expires_at - statement_timestamp()) FROM wakelatch.claim_leases`), 25.0)
	}
	w.done(b)
	w.released(a, "idle")
	lost := w.heartbeat(a)
	require.Equal(t, http.StatusConflict, lost.status)
	require.Equal(t, "CLAIM_LOST", lost.code())
	c.sweepReleasedNothing(a, b)
}

func runnerThatNeverFinishes(t story) {
	c, a, b, wakes := oneWake(t, func(o *server.Options) { o.Lease = time.Second })
	dead := a.work(wakes.next())
	dead.mustAppend(b)
	began := time.Now()
	e := wakes.nextOf(2)
	require.Less(t, time.Since(began), 3*time.Second, "lease + 2 s")
	require.Equal(t, "expired", dead.row(a).Status)
	for _, n := range []*node{a, b} {
		require.Equal(t, http.StatusUnauthorized, dead.append(n).status, "over, though nobody has taken over yet")
		require.Equal(t, http.StatusUnauthorized, dead.tag(n, "red").status)
	}
	next := b.claim(e)
	require.Equal(t, int64(2), next.Epoch)
	require.Equal(t, http.StatusUnauthorized, dead.append(a).status)
	require.Equal(t, http.StatusUnauthorized, dead.append(b).status)
	require.Equal(t, "CLAIM_LOST", dead.heartbeat(b).code())
	next.confirm(b)
	next.mustAppend(a)
	next.done(a)
	next.released(b, "idle")
	c.consistent()
}

func tokenOutlivesItsTrustDeadline(t story) {
	// Trust lasts a lease; the claim is kept alive beyond many of them.
	c, a, b, wakes := oneWake(t, func(o *server.Options) { o.Lease = 400 * time.Millisecond })
	w := a.work(wakes.next())
	began := value[time.Time](c, `SELECT clock_timestamp()`)
	c.eventually(func() bool {
		require.Equal(t, http.StatusOK, w.heartbeat(b).status)
		w.mustAppend(a)
		return value[bool](c, `SELECT clock_timestamp() > $1::timestamptz + interval '3 seconds'`, began)
	}, "time stands still")
	require.Greater(t, a.metric("wakelatch_token_lookups_total"), 1, "the view asked again")
	w.done(b)
	w.released(a, "idle")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

func zombieAppendWithTheViewForcedToSayYes(t story) {
	c := newCluster(t)
	c.dropNotifications()
	deaf, deafToo := c.start(withoutSweep), c.start(withoutSweep)
	b := c.start()
	wakes := b.oneWake()
	zombie := deaf.work(wakes.next())
	zombie.mustAppend(deaf)
	zombie.mustAppend(deafToo)
	zombie.expire()
	e := wakes.nextOf(2)
	zombie.fenced(deaf) // over, and nobody's yet
	next := b.work(e)
	zombie.fenced(deafToo) // somebody else's
	next.mustAppend(deaf)
	next.done(deafToo)
	next.released(b, "idle")
	c.consistent()
}

// fenced appends on a node whose view believes that the claim goes on: the fence alone must hold.
func (w *wake) fenced(n *node) {
	w.c.t.Helper()
	tail := n.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
	yes := n.metric("wakelatch_token_checks_total", `verdict="valid"`)
	refused := w.append(n)
	require.Equal(w.c.t, http.StatusUnauthorized, refused.status, "%s", refused.body)
	require.Equal(w.c.t, yes+1, n.metric("wakelatch_token_checks_total", `verdict="valid"`), "the view must have said yes")
	require.Equal(w.c.t, 1, n.metric("wakelatch_appends_fenced_total"), "the fence must have held")
	require.Zero(w.c.t, n.metric("wakelatch_tokens"), "a view that was wrong is not wrong again")
	require.Equal(w.c.t, tail, n.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset"))
}

func everyNotifyDropped(t story) {
	c := newCluster(t, func(o *server.Options) { o.ReconcileInterval, o.LongPoll = 500*time.Millisecond, patience })
	c.dropNotifications()
	// Of three nodes at least one neither answers the done nor works the job: it has the reconcile alone.
	nodes := []*node{c.start(), c.start(), c.start()}
	a, b := nodes[0], nodes[1]
	wakes := a.oneWake()
	w := a.work(wakes.next())
	for _, n := range nodes {
		w.mustAppend(n)
		require.Equal(t, 1, n.metric("wakelatch_tokens"))
	}
	w.done(a)
	began := time.Now()
	for _, n := range nodes {
		c.eventually(func() bool { return n.metric("wakelatch_tokens") == 0 }, "a view kept the token")
	}
	require.Less(t, time.Since(began), 4*time.Second)
	w.released(b, "idle")
	// A reader that waits on one node learns of a message sent on another, all the same.
	wakes.n = b
	read := make(chan error, 1)
	go func() { read <- wakes.fill() }()
	c.eventually(func() bool { return b.metric("wakelatch_long_polls") == 1 }, "nobody waits")
	began = time.Now()
	a.send("one", "again")
	require.NoError(t, <-read)
	require.Less(t, time.Since(began), 4*time.Second)
	c.finished(b, a, b, a, wakes.next())
	c.consistent()
	c.sweepReleasedNothing(nodes...)
}

func everySpellingOfTheMainStream(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	stranger := wake{c: c, id: "one", Epoch: 1, writeToken: "none"}
	spellings := []string{
		"/demo/one/main", "/v1/stream/demo/one/main", "/v1/stream//demo/one/main", "/v1/stream/demo/one/main/", "/demo/one/%6dain",
		"/v1/stream/demo/one/%6D%61%69%6e", "/v1/stream/demo%2Fone%2Fmain", "/v1/stream/demo/./one/main", "/v1/stream/demo/x/../one/main",
		"/%64emo/one/main", "/v1/stream/demo//one/main", "/v1/stream/demo/one/main%00", "/v1/stream/%2Fdemo/one/main", "/demo%2Fone/main",
		"/demo/one/%256dain", "/v1/stream/demo/one/%256dain", "/v1/stream/demo%252Fone/main",
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
		require.Equal(t, http.StatusOK, w.appendAt(b, path, seq).status, path)
	}
	c.consistent()
	c.sweepReleasedNothing(a, b)
}
