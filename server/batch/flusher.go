package batch

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

func (b *Batcher[In, Out]) runFlusher(ctx context.Context) {
	var items []*item[In, Out]
	var calls []Call[In]
	for {
		var pause time.Duration
		items, pause = b.take(items[:0])
		if len(items) == 0 {
			if !b.idle(b.wake, pause) {
				return
			}
			continue
		}
		var results []Result[Out]
		var err error
		results, calls, err = b.attempt(ctx, items, calls)
		b.finish(items, results, err)
		clear(items)
	}
}

// idle waits for a signal or, if that is positive, for the pause to be over.
// It reports false when there is nothing left to do for ever.
func (b *Batcher[In, Out]) idle(wake <-chan struct{}, pause time.Duration) bool {
	if pause <= 0 {
		select {
		case <-wake:
			return true
		case <-b.exhausted:
			return false
		}
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.exhausted:
		return false
	}
}

// take moves the next batch out of the queue. An empty batch comes with the
// time to wait, or with zero if only a signal can bring something.
func (b *Batcher[In, Out]) take(batch []*item[In, Out]) ([]*item[In, Out], time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.expire(now)
	if pause := b.notBefore.Sub(now); pause > 0 {
		return batch, pause
	}
	var admit func(In) bool
	if b.o.Admit != nil {
		admit = b.o.Admit()
	}
	var passed map[string]bool
	for it := b.queue.first; it != nil && len(batch) < b.o.MaxItems; {
		candidate := it
		it = it.next
		if candidate.key != "" && (b.busy[candidate.key] > 0 || passed[candidate.key]) {
			continue
		}
		if admit != nil && !admit(candidate.in) && len(batch) > 0 {
			if candidate.key != "" {
				if passed == nil {
					passed = map[string]bool{}
				}
				passed[candidate.key] = true
			}
			continue
		}
		b.queue.remove(candidate)
		batch = append(batch, candidate)
	}
	// Only now, so that items of one key go together in a batch.
	for _, it := range batch {
		if it.key != "" {
			b.busy[it.key]++
		}
	}
	if len(batch) > 0 && b.queue.first != nil {
		signal(b.wake)
	}
	return batch, 0
}

// expire answers the queued items whose time is over. They stand at the front:
// what returns to the queue is older than what waits in it.
func (b *Batcher[In, Out]) expire(now time.Time) {
	for it := b.queue.first; it != nil && now.Sub(it.born) >= b.o.RideOut; it = b.queue.first {
		b.queue.remove(it)
		b.settled(1)
		it.err = b.unavailable(b.lastErr)
		it.done <- struct{}{}
	}
}

// finish answers a batch, or sends its items where they are tried again.
func (b *Batcher[In, Out]) finish(items []*item[In, Out], results []Result[Out], err error) {
	if err == nil {
		b.succeed(items, results)
		return
	}
	class := b.classify(err)
	switch {
	case class == Transient:
		b.requeue(items, err)
	case class == Alone, class == Fatal && len(items) > 1:
		b.separate(items, class, err)
	default:
		b.reject(items, err)
	}
}

func (b *Batcher[In, Out]) succeed(items []*item[In, Out], results []Result[Out]) {
	b.mu.Lock()
	b.failures, b.notBefore, b.lastErr = 0, time.Time{}, nil
	b.letGo(items)
	b.mu.Unlock()
	for i, it := range items {
		it.out, it.err = results[i].Out, results[i].Err
		it.done <- struct{}{}
	}
}

func (b *Batcher[In, Out]) reject(items []*item[In, Out], err error) {
	b.mu.Lock()
	b.letGo(items)
	b.mu.Unlock()
	for _, it := range items {
		it.err = err
		it.done <- struct{}{}
	}
}

// letGo counts taken items as answered, before they are: from the answer on
// an item belongs to its caller. The lock is held.
func (b *Batcher[In, Out]) letGo(items []*item[In, Out]) {
	for _, it := range items {
		b.release(it)
	}
	b.settled(len(items))
	if b.queue.first != nil {
		signal(b.wake)
	}
}

// requeue returns the items of a batch to the front of the queue, in their
// order, and makes all flushers wait: the next batch would meet the same.
func (b *Batcher[In, Out]) requeue(items []*item[In, Out], err error) {
	b.metrics.retries[Transient].Add(float64(len(items)))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastErr = err
	b.notBefore = time.Now().Add(backoff(b.failures))
	b.failures++
	for _, it := range slices.Backward(items) {
		b.release(it)
		it.attempt++
		b.queue.pushFront(it)
	}
	signal(b.wake)
}

const (
	firstPause   = 10 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// backoff doubles from one failure to the next; half of it is chance, so that
// nodes which failed together do not come back together.
func backoff(failures int) time.Duration {
	d := min(firstPause<<min(failures, 20), longestPause)
	return d/2 + rand.N(d/2+1) //nolint:gosec // jitter, not a secret
}
