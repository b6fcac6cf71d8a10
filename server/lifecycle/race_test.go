package lifecycle_test

import (
	"net/http"
	"sync"
	"testing"
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

// race makes both calls leave one barrier.
func race(first, second func() answer) (a, b timed) {
	var wg sync.WaitGroup
	barrier := make(chan struct{})
	run := func(call func() answer, into *timed) {
		<-barrier
		into.began = time.Now()
		into.answer = call()
		into.ended = time.Now()
	}
	wg.Go(func() { run(first, &a) })
	wg.Go(func() { run(second, &b) })
	close(barrier)
	wg.Wait()
	return a, b
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
func handOverRace(t *testing.T) {
	c := newCluster(t, func(o *server.Options) {
		o.SweepInterval, o.Backoff, o.BackoffMax = 10*time.Millisecond, time.Millisecond, time.Millisecond
	})
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	wakes := b.inbox()
	old := a.claim(wakes.next())
	overlaps := 0
	for range handOverRounds {
		old.confirm(a)
		old.mustAppend(b)
		old.expire()
		next := wakes.nextOf("one", old.Epoch+1)
		done, claimed := race(
			func() answer { return old.call(a, old.doneBody("")) },
			func() answer { return b.tryClaim(next) },
		)
		if done.overlaps(claimed) {
			overlaps++
		}
		require.Equal(t, http.StatusOK, done.status, "%s", done.body)
		require.Equal(t, http.StatusOK, claimed.status, "%s", claimed.body)
		w := c.readWake(claimed.answer)
		h := c.handOver("one")
		require.Equal(t, "running", h.status, "never idle with an active claim")
		require.Equal(t, w.Consumer, *h.active)
		require.Equal(t, w.Consumer, *h.points)
		require.Equal(t, w.Consumer, *h.consumer)
		require.Equal(t, http.StatusUnauthorized, old.append(b).status)
		old = w
	}
	require.GreaterOrEqual(t, overlaps, handOverOverlaps, "too few of %d rounds raced", handOverRounds)
	old.confirm(a)
	for _, n := range []*node{a, b} {
		old.mustAppend(n)
	}
	old.done(b)
	old.released(a, "released", "idle")
	c.consistent()
}

// sendAndReleaseAtTheSameInstant lets a message and the done of the running claim leave one barrier: the
// message is either acknowledged by nobody and wakes again, or the next claim's input.
func sendAndReleaseAtTheSameInstant(t *testing.T) {
	c := newCluster(t)
	// A deadlock must be seen as one, before the lock time-out ends it.
	c.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 20', current_database()); END $$`)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	wakes := b.inbox()
	e := wakes.next()
	for range sendRounds {
		w := a.claim(e)
		ack := b.do("HEAD", "/demo/one/main", nil).header.Get("Stream-Next-Offset")
		done, sent := race(
			func() answer { return w.call(a, w.doneBody(ack)) },
			func() answer {
				return b.do("POST", "/_electric/entities/demo/one/send", object{"payload": object{"text": "again"}})
			},
		)
		require.Equal(t, http.StatusOK, done.status, "%s", done.body)
		require.Equal(t, http.StatusOK, sent.status, "%s", sent.body)
		e = wakes.nextOf("one", w.Epoch+1)
	}
	require.Zero(t, value[int64](c, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`))
	require.EqualValues(t, sendRounds+1, value[int64](c, `SELECT generation FROM wakelatch.entity_dispatch_state`))
	c.consistent()
	c.sweepReleasedNothing(a, b)
}
