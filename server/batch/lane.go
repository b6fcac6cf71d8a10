package batch

import (
	"context"
	"time"
)

// group is what is tried alone, one item after the other: the items of a
// failed batch that share a key, or a single item. Its keys stay busy, so
// later items of the key wait in the queue and do not spoil other batches.
type group[In, Out any] struct {
	items     []*item[In, Out]
	failures  int
	notBefore time.Time
	lastErr   error
}

// separate hands the items of a failed batch to the lanes.
func (b *Batcher[In, Out]) separate(items []*item[In, Out], class Class, err error) {
	b.metrics.retries[class].Add(float64(len(items)))
	b.mu.Lock()
	defer b.mu.Unlock()
	byKey := map[string]*group[In, Out]{}
	for _, it := range items {
		it.attempt++
		g := byKey[it.key]
		if it.key == "" || g == nil {
			g = &group[In, Out]{lastErr: err}
			byKey[it.key] = g
			b.lanes = append(b.lanes, g)
		}
		g.items = append(g.items, it)
	}
	for range b.o.Lanes {
		signal(b.wakeLane)
	}
}

func (b *Batcher[In, Out]) runLane(ctx context.Context) {
	var calls []Call[In]
	for {
		g, pause := b.takeGroup()
		if g == nil {
			if !b.idleLane(pause) {
				return
			}
			continue
		}
		calls = b.try(ctx, g, calls)
	}
}

// idleLane also ends a pause when there is news, because a group that has just
// come in need not wait for one that has failed before.
func (b *Batcher[In, Out]) idleLane(pause time.Duration) bool {
	if pause <= 0 {
		return b.idle(b.wakeLane, 0)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.wakeLane:
	case <-b.exhausted:
		return false
	}
	return true
}

// takeGroup is the first group whose time has come, or how long to wait.
func (b *Batcher[In, Out]) takeGroup() (*group[In, Out], time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var pause time.Duration
	for i, g := range b.lanes {
		wait := g.notBefore.Sub(now)
		if wait <= 0 {
			b.lanes = append(b.lanes[:i], b.lanes[i+1:]...)
			if len(b.lanes) > 0 {
				signal(b.wakeLane)
			}
			return g, 0
		}
		if pause == 0 || wait < pause {
			pause = wait
		}
	}
	return nil, pause
}

// try flushes the items of a group, one in each flush, until the group is done
// or one of them has to wait. That one goes behind the other groups.
func (b *Batcher[In, Out]) try(ctx context.Context, g *group[In, Out], calls []Call[In]) []Call[In] {
	for len(g.items) > 0 {
		one := g.items[:1]
		if time.Since(one[0].born) >= b.o.RideOut {
			b.reject(one, b.unavailable(g.lastErr))
			g.items = g.items[1:]
			continue
		}
		var results []Result[Out]
		var err error
		results, calls, err = b.attempt(ctx, one, calls)
		if err == nil {
			b.mu.Lock()
			b.letGo(one)
			b.mu.Unlock()
			one[0].out, one[0].err = results[0].Out, results[0].Err
			one[0].done <- struct{}{}
			g.items, g.failures = g.items[1:], 0
			continue
		}
		class := b.classify(err)
		if class != Transient && class != Alone {
			b.reject(one, err)
			g.items = g.items[1:]
			continue
		}
		b.metrics.retries[class].Inc()
		b.later(g, err)
		return calls
	}
	return calls
}

func (b *Batcher[In, Out]) later(g *group[In, Out], err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g.items[0].attempt++
	g.lastErr = err
	g.notBefore = time.Now().Add(backoff(g.failures))
	g.failures++
	b.lanes = append(b.lanes, g)
	signal(b.wakeLane)
}
