package notify

import (
	"hash/maphash"
	"sync"
)

// Waiters wakes those on this node who wait for news of a stream or an entity.
// The zero value is not usable; make one with NewWaiters.
type Waiters struct {
	seed   maphash.Seed
	shards [waiterShards]waiterShard
}

// place is what is waited for.
type place struct{ tenant, key string }

const waiterShards = 64

type waiterShard struct {
	mu     sync.Mutex
	places map[place][]*Waiter
	_      [48]byte
}

// Waiter is one subscription. Close it when done.
type Waiter struct {
	// C holds one signal at most, and keeps it until it is read: subscribe,
	// then read the state, then wait, and no news is missed.
	C <-chan struct{}

	c     chan struct{}
	ws    *Waiters
	place place
	at    int // its index among the place's waiters, -1 once closed
}

// NewWaiters makes an empty set.
func NewWaiters() *Waiters {
	ws := &Waiters{seed: maphash.MakeSeed()}
	for i := range ws.shards {
		ws.shards[i].places = map[place][]*Waiter{}
	}
	return ws
}

func (ws *Waiters) shard(p place) *waiterShard {
	return &ws.shards[maphash.Comparable(ws.seed, p)%waiterShards]
}

// Subscribe waits for news of a place from now on.
func (ws *Waiters) Subscribe(tenant, key string) *Waiter {
	c := make(chan struct{}, 1)
	w := &Waiter{C: c, c: c, ws: ws, place: place{tenant, key}}
	sh := ws.shard(w.place)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w.at = len(sh.places[w.place])
	sh.places[w.place] = append(sh.places[w.place], w)
	return w
}

// Close ends the subscription. A second call does nothing.
func (w *Waiter) Close() {
	sh := w.ws.shard(w.place)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if w.at < 0 {
		return
	}
	all := sh.places[w.place]
	last := len(all) - 1
	all[w.at] = all[last]
	all[w.at].at = w.at
	all[last] = nil
	w.at = -1
	if last == 0 {
		delete(sh.places, w.place)
		return
	}
	sh.places[w.place] = all[:last]
}

// Wake signals everybody who waits for the place. It never blocks.
func (ws *Waiters) Wake(tenant, key string) {
	p := place{tenant, key}
	sh := ws.shard(p)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, w := range sh.places[p] {
		signal(w.c)
	}
}

// WakeAll signals everybody.
func (ws *Waiters) WakeAll() {
	for i := range ws.shards {
		sh := &ws.shards[i]
		sh.mu.Lock()
		for _, all := range sh.places {
			for _, w := range all {
				signal(w.c)
			}
		}
		sh.mu.Unlock()
	}
}
