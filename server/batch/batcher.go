package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Batcher gathers calls into flushes. It is safe for concurrent use and works
// while Run runs.
type Batcher[In, Out any] struct {
	o       Options[In]
	flush   Flush[In, Out]
	metrics *metrics
	pool    sync.Pool

	wake      chan struct{} // a flusher has something to take
	wakeLane  chan struct{} // a lane has something to take
	exhausted chan struct{} // closed when stopping and every item is answered

	mu        sync.Mutex
	queue     queue[In, Out]
	lanes     []*group[In, Out]
	busy      map[string]int // items of a key that are taken and not answered
	pending   int            // items accepted and not answered
	running   bool
	stopping  bool
	failures  int       // transient ones in a row
	notBefore time.Time // no flusher takes a batch earlier
	lastErr   error     // of the last of these failures
}

// New makes a batcher that commits with flush.
func New[In, Out any](flush Flush[In, Out], o Options[In]) *Batcher[In, Out] {
	o.fill()
	return &Batcher[In, Out]{
		o: o, flush: flush, metrics: newMetrics(o.Registerer, o.Name),
		wake: make(chan struct{}, o.Flushers), wakeLane: make(chan struct{}, o.Lanes),
		exhausted: make(chan struct{}), busy: map[string]int{},
	}
}

// Do puts in into the next flush and waits for its result. When ctx ends
// first, the error is ctx.Err(): an item that no flush has taken yet is
// removed, but one that was taken goes on, and is retried, without its caller.
// Before Run runs, Do waits for it as long as ctx lasts.
func (b *Batcher[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	var none Out
	if err := ctx.Err(); err != nil {
		return none, err
	}
	it := b.newItem(in)
	b.mu.Lock()
	if b.stopping {
		b.mu.Unlock()
		return none, ErrStopped
	}
	b.pending++
	b.queue.pushBack(it)
	b.mu.Unlock()
	signal(b.wake)

	select {
	case <-it.done:
		return b.answer(it)
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-it.done:
		return b.answer(it)
	default:
	}
	if it.queued && it.attempt == 0 {
		b.queue.remove(it)
		b.settled(1)
	}
	return none, ctx.Err()
}

func (b *Batcher[In, Out]) newItem(in In) *item[In, Out] {
	it, ok := b.pool.Get().(*item[In, Out])
	if !ok {
		it = &item[In, Out]{done: make(chan struct{}, 1)}
	}
	it.in, it.born, it.attempt = in, time.Now(), 0
	if b.o.Key != nil {
		it.key = b.o.Key(in)
	}
	return it
}

// answer takes the result out of an item that nobody else holds any more.
func (b *Batcher[In, Out]) answer(it *item[In, Out]) (Out, error) {
	out, err := it.out, it.err
	*it = item[In, Out]{done: it.done}
	b.pool.Put(it)
	return out, err
}

// Run flushes until ctx ends. Then it refuses new items with ErrStopped,
// answers those it has, and returns nil. It does not cancel a flush. A batcher
// runs once.
func (b *Batcher[In, Out]) Run(ctx context.Context) error {
	b.mu.Lock()
	again := b.running
	b.running = true
	b.mu.Unlock()
	if again {
		return fmt.Errorf("batcher %q was run twice: make one for each Run", b.o.Name)
	}
	work := context.WithoutCancel(ctx)
	var wg sync.WaitGroup
	for range b.o.Flushers {
		wg.Go(func() { b.runFlusher(work) })
	}
	for range b.o.Lanes {
		wg.Go(func() { b.runLane(work) })
	}
	<-ctx.Done()
	b.mu.Lock()
	b.stopping = true
	b.settled(0)
	b.mu.Unlock()
	wg.Wait()
	return nil
}

// settled counts n items as answered. The lock is held.
func (b *Batcher[In, Out]) settled(n int) {
	b.pending -= n
	if b.stopping && b.pending == 0 {
		select {
		case <-b.exhausted:
		default:
			close(b.exhausted)
		}
	}
}

// release counts a taken item as no longer in a flush. The lock is held.
func (b *Batcher[In, Out]) release(it *item[In, Out]) {
	if it.key == "" {
		return
	}
	if b.busy[it.key]--; b.busy[it.key] == 0 {
		delete(b.busy, it.key)
	}
}

// One flush of items, with its bound and its metrics. The slice calls is
// scratch space and is returned for the next.
func (b *Batcher[In, Out]) attempt(
	ctx context.Context, items []*item[In, Out], calls []Call[In],
) ([]Result[Out], []Call[In], error) {
	calls = calls[:0]
	for _, it := range items {
		calls = append(calls, Call[In]{In: it.in, Attempt: it.attempt})
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.o.Timeout,
		fmt.Errorf("a flush of batch %q took longer than %s: %w", b.o.Name, b.o.Timeout, context.DeadlineExceeded))
	defer cancel()
	began := time.Now()
	results, err := b.flush(ctx, calls)
	b.metrics.items.Observe(float64(len(items)))
	b.metrics.seconds.Observe(time.Since(began).Seconds())
	clear(calls)
	if err == nil && len(results) != len(items) {
		err = &miscountError{name: b.o.Name, calls: len(items), results: len(results)}
	}
	return results, calls, err
}

func (b *Batcher[In, Out]) classify(err error) Class {
	if _, ok := errors.AsType[*miscountError](err); ok {
		return miscounted
	}
	return b.o.Classify(err)
}

// miscounted is the class of a flush that broke its contract: it may have
// committed anything, so nothing is tried again.
const miscounted Class = -1

type miscountError struct {
	name           string
	calls, results int
}

func (e *miscountError) Error() string {
	return fmt.Sprintf("flush of batch %q answered %d calls with %d results: answer each call once", e.name, e.calls, e.results)
}

// unavailable is the answer to an item whose time is over.
func (b *Batcher[In, Out]) unavailable(last error) error {
	if last == nil {
		return fmt.Errorf("batch %q: %w: not flushed within %s, try again", b.o.Name, ErrUnavailable, b.o.RideOut)
	}
	return fmt.Errorf("batch %q: %w for %s, try again: %w", b.o.Name, ErrUnavailable, b.o.RideOut, last)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
