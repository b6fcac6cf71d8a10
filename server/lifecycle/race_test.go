package lifecycle_test

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

const (
	handOverRounds   = 200
	handOverOverlaps = 50
	sendRounds       = 500
)

// timed is one call of a race with the times it took place between.
type timed struct {
	answer
	began, ended time.Time
}

func (t timed) overlaps(o timed) bool { return t.began.Before(o.ended) && o.began.Before(t.ended) }

// atOnce makes all calls leave one barrier, and returns how to wait for their answers, which must come.
func (c *cluster) atOnce(calls ...func() (answer, error)) (wait func() []timed) {
	got, errs := make([]timed, len(calls)), make([]error, len(calls))
	var wg sync.WaitGroup
	barrier := make(chan struct{})
	for i, call := range calls {
		wg.Go(func() {
			<-barrier
			got[i].began = time.Now()
			got[i].answer, errs[i] = call()
			got[i].ended = time.Now()
		})
	}
	close(barrier)
	return func() []timed {
		c.t.Helper()
		wg.Wait()
		require.NoError(c.t, errors.Join(errs...))
		return got
	}
}

// together is atOnce that waits.
func (c *cluster) together(calls ...func() (answer, error)) []timed {
	c.t.Helper()
	return c.atOnce(calls...)()
}

// handOver is the state of one entity, read in one statement.
type handOver struct {
	status   string
	active   *string
	points   *string
	consumer *string
}

func (c *cluster) handOver(id string) handOver {
	c.t.Helper()
	var h handOver
	require.NoError(c.t, c.pool.QueryRow(c.t.Context(), `
		SELECT e.status, d.active_consumer_id, c.consumer_id, s.claim_consumer_id
		FROM wakelatch.entities e
		JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
		JOIN wakelatch.streams s ON s.tenant_id = e.tenant_id AND s.path = substr(e.url, 2) || '/main'
		LEFT JOIN wakelatch.consumer_claims c ON c.tenant_id = e.tenant_id AND c.entity_url = e.url AND c.status = 'active'
		WHERE e.url = '/demo/' || $1`, id).Scan(&h.status, &h.points, &h.active, &h.consumer))
	return h
}

// handOverRace lets the late done of one claim on A and the claim of the next wake on B leave one barrier.
func handOverRace(t story) {
	c, a, b, wakes := oneWake(t, func(o *server.Options) {
		o.SweepInterval, o.Backoff, o.BackoffMax = 10*time.Millisecond, time.Millisecond, time.Millisecond
		o.ParkAfter = -1 // every round is a failure
	})
	old := a.claim(wakes.next())
	overlaps := 0
	for range handOverRounds {
		old.confirm(a)
		old.mustAppend(b)
		old.expire()
		next := wakes.nextOf(old.Epoch + 1)
		both := c.together(
			func() (answer, error) { return old.try(a, old.doneBody("")) },
			func() (answer, error) { return b.tryClaim(next) },
		)
		done, claimed := both[0], both[1]
		if done.overlaps(claimed) {
			overlaps++
		}
		require.Equal(t, http.StatusOK, done.status, "%s", done.body)
		require.Equal(t, http.StatusOK, claimed.status, "%s", claimed.body)
		w := c.readWake(claimed.answer)
		h := c.handOver("one")
		require.Equal(t, "running", h.status, "never idle with an active claim")
		require.Equal(t, &w.Consumer, h.active)
		require.Equal(t, &w.Consumer, h.points)
		require.Equal(t, &w.Consumer, h.consumer)
		require.Equal(t, http.StatusUnauthorized, old.append(b).status)
		old = w
	}
	require.GreaterOrEqual(t, overlaps, handOverOverlaps, "too few of %d rounds raced", handOverRounds)
	old.confirm(a)
	for _, n := range []*node{a, b} {
		old.mustAppend(n)
	}
	old.done(b)
	old.released(a, "idle")
	c.consistent()
}

// sendAndReleaseAtTheSameInstant makes a release and a message on each node wait for one row and get it one
// right behind the other, in any order. What the done acknowledges was there before, so a wake must follow.
func sendAndReleaseAtTheSameInstant(t story) {
	c := newCluster(t)
	// A deadlock is to be found before the lock time-out hides it.
	c.exec(`ALTER DATABASE ` + value[string](c, `SELECT quote_ident(current_database())`) + ` SET deadlock_timeout = '20ms'`)
	a, b := c.two()
	wakes := a.oneWake()
	e := wakes.next()
	for range sendRounds {
		w := a.claim(e)
		c.sendWhileReleased(w, a, b)
		require.Zero(t, value[int64](c, `SELECT count(*) FROM wakelatch.entity_dispatch_state
			WHERE last_outside_seq <= acked_seq OR outstanding_wake_id IS NULL`), "never pending without a wake")
		e = wakes.nextOf(w.Epoch + 1)
	}
	require.Zero(t, value[int64](c, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`))
	require.EqualValues(t, sendRounds+1, value[int64](c, `SELECT generation FROM wakelatch.entity_dispatch_state`))
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

// sendWhileReleased finishes a wake and returns when it is released and both messages are answered.
func (c *cluster) sendWhileReleased(w *wake, a, b *node) {
	c.t.Helper()
	ack := b.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
	free := c.holdDispatch()
	defer free()
	wait := c.atOnce(
		func() (answer, error) { return w.try(a, w.doneBody(ack)) },
		func() (answer, error) { return a.trySend("one", "again") },
		func() (answer, error) { return b.trySend("one", "again") },
	)
	c.blocked(3, "LockDispatch")
	free()
	for _, got := range wait() {
		require.Equal(c.t, http.StatusOK, got.status, "%s", got.body)
	}
	w.released(a, "idle")
}
