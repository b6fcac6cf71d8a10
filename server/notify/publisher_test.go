package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// wire passes statements on to the database, one at a time as the test lets
// them, and fails those it is told to.
type wire struct {
	notify.Execer
	began chan struct{}
	let   chan error
}

func (w *wire) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	w.began <- struct{}{}
	if err := <-w.let; err != nil {
		return pgconn.CommandTag{}, err
	}
	return w.Execer.Exec(ctx, sql, args...)
}

func tail(key string, n int64) notify.Event {
	return notify.Event{Kind: notify.KindTail, Tenant: "t", Key: key, Number: n}
}

// listen is a handler that gets everything sent in the database.
func listen(t *testing.T, db *dbtest.Database) *handler {
	t.Helper()
	h := newHandler()
	l := notify.NewListener(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t)})
	run(t, l.Run)
	within(t, l.Ready(), "the first resync")
	return h
}

func TestPublisherCoalesces(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	h := listen(t, db)
	w := &wire{Execer: db.Pool, began: make(chan struct{}), let: make(chan error)}
	reg := prometheus.NewRegistry()
	p := notify.NewPublisher(notify.PublisherOptions{DB: w, Log: logger(t), Registerer: reg})
	stop := run(t, p.Run)

	p.Publish(tail("a", 1))
	within(t, w.began, "the first statement")
	// All of these arrive while a statement is in flight.
	for n := int64(2); n <= 1000; n++ {
		p.Publish(tail("a", n))
	}
	p.Publish(tail("a", 5), notify.Event{Kind: notify.KindEntity, Tenant: "t", Key: "a", Number: 3})
	w.let <- nil
	require.Equal(t, tail("a", 1), within(t, h.events, "the first tail"))
	within(t, w.began, "the second statement")
	w.let <- nil
	got := map[notify.Event]bool{within(t, h.events, "an event"): true}
	got[within(t, h.events, "an event")] = true
	require.Equal(t, map[notify.Event]bool{
		tail("a", 1000): true, {Kind: notify.KindEntity, Tenant: "t", Key: "a", Number: 3}: true,
	}, got)
	stop()
	require.InDelta(t, 3, value(t, reg, "wakelatch_notify_published_total"), 0)
	require.Empty(t, h.events)

	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestPublisherKeepsWhatItCouldNotSend(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	h := listen(t, db)
	w := &wire{Execer: db.Pool, began: make(chan struct{}), let: make(chan error)}
	p := notify.NewPublisher(notify.PublisherOptions{
		DB: w, Log: logger(t), Backoff: notify.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
	})
	run(t, p.Run)
	p.Publish(tail("a", 5), tail("b", 1))
	within(t, w.began, "a statement")
	p.Publish(tail("a", 4), tail("b", 2))
	w.let <- errors.New("connection refused")
	within(t, w.began, "the same again")
	w.let <- nil
	got := map[notify.Event]bool{within(t, h.events, "an event"): true}
	got[within(t, h.events, "an event")] = true
	require.Equal(t, map[notify.Event]bool{tail("a", 5): true, tail("b", 2): true}, got)
}

func TestPublisherIsBounded(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	h := listen(t, db)
	reg := prometheus.NewRegistry()
	p := notify.NewPublisher(notify.PublisherOptions{DB: db.Pool, MaxPending: 10, Log: logger(t), Registerer: reg})
	for n := range 25 {
		p.Publish(tail(strconv.Itoa(n), 1))
	}
	p.Publish(tail("0", 2)) // a hint that is waiting already is never dropped
	run(t, p.Run)
	latest := false
	for range 10 {
		latest = within(t, h.events, "an event") == tail("0", 2) || latest
	}
	require.True(t, latest)
	require.InDelta(t, 15, value(t, reg, "wakelatch_notify_dropped_total"), 0)
}

func TestPublisherSendsTheRestWhenItStops(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	h := listen(t, db)
	p := notify.NewPublisher(notify.PublisherOptions{DB: db.Pool, Log: logger(t)})
	const n = 3000 // more than fit into one payload
	for i := range n {
		p.Publish(tail(fmt.Sprintf("demo/%d/main", i), 1))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, p.Run(ctx))
	seen := map[notify.Event]bool{}
	for len(seen) < n {
		seen[within(t, h.events, "an event")] = true
	}
}

// Publishing is safe from everywhere and never waits, not even for a database
// that does not answer.
func TestPublishNeverBlocks(t *testing.T) {
	t.Parallel()
	w := &wire{Execer: dbtest.New(t).Pool, began: make(chan struct{}, 100), let: make(chan error)}
	p := notify.NewPublisher(notify.PublisherOptions{DB: w, Log: logger(t)})
	run(t, p.Run)
	p.Publish(tail("a", 1))
	within(t, w.began, "a statement that does not end")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range int64(1000) {
				p.Publish(tail(strconv.Itoa(g), n))
			}
		})
	}
	wg.Wait()
	close(w.let)
}
