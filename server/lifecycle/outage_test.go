package lifecycle_test

import (
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
)

// sent is what a runner sends once and never again: each on a claim of its own.
type sent struct {
	confirm, beat, append, done *wake
}

// fragile is two nodes on a database server that can go away, and a claim for each thing a runner sends.
func fragile(t story, changes ...change) (c *cluster, a, b *node, own *dbtest.Server, s sent) {
	t.Helper()
	own = dbtest.NewServer(t)
	database := own.New(t)
	c = clusterOn(t, database.DSN, database.Pool, changes...)
	a, b = c.two()
	a.prepare()
	wakes := a.inbox()
	claims := make(map[string]*wake)
	for _, id := range []string{"confirm", "beat", "append", "done"} {
		a.spawn(id, "hello")
		claims[id] = a.claim(wakes.next())
	}
	s = sent{confirm: claims["confirm"], beat: claims["beat"], append: claims["append"], done: claims["done"]}
	s.append.confirm(a)
	s.done.confirm(b)
	s.done.mustAppend(a)
	return c, a, b, own, s
}

// all sends everything at once, half of it to either node.
func (s sent) all(c *cluster, a, b *node) (wait func() []timed) {
	return c.atOnce(
		func() (answer, error) { return s.confirm.try(a, s.confirm.confirmBody()) },
		func() (answer, error) { return s.beat.try(b, object{"epoch": s.beat.Epoch}) },
		func() (answer, error) { return s.append.tryAppendAt(a, "/demo/append/main", 0) },
		func() (answer, error) { return s.done.try(b, s.done.doneBody(s.done.nextOffset)) },
	)
}

// once asserts that each of it happened, and once.
func (s sent) once(c *cluster, a *node) {
	c.t.Helper()
	s.done.released(a, "idle")
	for transition, want := range map[string]int{"confirmed": 3, "done": 1, "released": 1, "expired": 0} {
		require.Equal(c.t, want, value[int](c, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = $1`, transition), transition)
	}
	require.Equal(c.t, 1, value[int](c, `SELECT count(*) FROM public.river_job WHERE kind = 'release_claims'`))
	events := a.events("append")
	require.Equal(c.t, []string{"inbox", "text"}, typesOf(events))
	c.consistent()
}

// A database that is away for less than the ride-out is not seen by a runner.
func shortOutageIsNotSeen(t story) {
	c, a, b, own, s := fragile(t)
	require.NoError(t, own.Interrupt(t.Context(), localpg.Immediate))
	answers := s.all(c, a, b)
	for batch, n := range map[string]*node{"confirm": a, "heartbeat": b, "append": a, "done": b} {
		c.eventually(func() bool { return n.metric("wakelatch_batch_retries_total", `batch="`+batch+`"`) > 0 }, "the %s never met the outage", batch)
	}
	require.NoError(t, own.Resume(t.Context()))
	for i, got := range answers() {
		require.Equal(t, http.StatusOK, got.status, "answer %d: %s", i, got.body)
	}
	s.once(c, a)
}

// A longer one is answered, within a bound, with 503 and when to come again; what is sent again then is done once.
func longOutageIsAnsweredInTime(t story) {
	const rideOut = time.Second
	c, a, b, own, s := fragile(t, func(o *server.Options) { o.RideOut = rideOut })
	require.NoError(t, own.Interrupt(t.Context(), localpg.Immediate))
	for i, got := range s.all(c, a, b)() {
		require.Equal(t, http.StatusServiceUnavailable, got.status, "answer %d: %s", i, got.body)
		require.Equal(t, "UNAVAILABLE", got.code())
		require.NotEmpty(t, got.header.Get("Retry-After"))
		require.Less(t, got.ended.Sub(got.began), rideOut+5*time.Second)
	}
	require.NoError(t, own.Resume(t.Context()))
	for i, got := range s.all(c, a, b)() {
		require.Equal(t, http.StatusOK, got.status, "answer %d: %s", i, got.body)
	}
	s.once(c, a)
}

// The database is away for longer than a lease, and nobody could have sent a heartbeat: nobody loses its claim.
func nobodyExpiresBecauseWeWereAway(t story) {
	const lease = time.Second
	c, a, b, own, s := fragile(t, func(o *server.Options) {
		o.Lease, o.SweepInterval, o.RideOut = lease, 50*time.Millisecond, 200*time.Millisecond
	})
	for _, w := range []*wake{s.confirm, s.beat, s.append, s.done} {
		require.Equal(t, http.StatusOK, w.heartbeat(a).status)
	}
	require.NoError(t, own.Interrupt(t.Context(), localpg.Immediate))
	<-time.After(2 * lease)
	require.NoError(t, own.Resume(t.Context()))
	began := value[time.Time](c, `SELECT statement_timestamp()`)
	c.eventually(func() bool {
		return value[bool](c, `SELECT last_sweep_at > $1 FROM wakelatch.sweep_state`, began)
	}, "no node swept after the outage")
	require.Equal(t, 4, value[int](c, `SELECT count(*) FROM wakelatch.consumer_claims WHERE status = 'active'`))
	for i, got := range s.all(c, a, b)() {
		require.Equal(t, http.StatusOK, got.status, "answer %d: %s", i, got.body)
	}
	s.once(c, a)
	// Afterwards a lease that nobody renews ends as before.
	c.eventually(func() bool {
		return value[int](c, `SELECT count(*) FROM wakelatch.consumer_claims WHERE status = 'expired'`) == 3
	}, "the sweep expires nobody any more")
}
