package token

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// entry is what the view knows of one stream. All but confirmed is immutable:
// a change stores another entry in its slot, so a reader never sees half of
// one. A live entry has a token and epoch > over.
//
// Tenant, stream and token stand one behind the other in text, which is inline
// unless it is unusually long: with a million claims every line of memory that
// a check touches is a cache miss, and neighbours are fetched together.
type entry struct {
	text       []byte
	hash       uint64
	epoch      int64
	over       int64 // no claim with an epoch <= over is active, now or ever
	ended      int64 // without a claim: since when, for pruning
	confirmed  atomic.Int64
	key, split uint16 // text[:split] is the tenant, text[split:key] the stream
	inline     [inlineText]byte
}

// inlineText makes an entry fill an allocation of 224 bytes.
const inlineText = 144

func newEntry(hash uint64, tenant, stream, tok string) *entry {
	e := &entry{hash: hash, split: uint16(len(tenant)), key: uint16(len(tenant) + len(stream))} //nolint:gosec // bounded by maxKey
	e.text = append(append(append(e.inline[:0], tenant...), stream...), tok...)
	return e
}

// maxKey bounds tenant and stream together, far above the API's limits. The
// view does not remember a longer one.
const maxKey = 1<<16 - 1

func (e *entry) live() bool    { return e != nil && len(e.text) > int(e.key) }
func (e *entry) token() []byte { return e.text[e.key:] }

func (e *entry) is(tenant, stream string) bool {
	return string(e.text[:e.split]) == tenant && string(e.text[e.split:e.key]) == stream
}

// slot holds an entry and its hash, which saves looking at the entries of
// other streams. The hash is stored before the entry and never changes.
type slot struct {
	hash  atomic.Uint64
	entry atomic.Pointer[entry]
}

// slots is an open-addressed hash table with linear probing, of a power of
// two. Readers walk it without a lock while the one writer stores into it; it
// is never more than half full, so every walk meets an empty slot.
type slots []slot

func (s slots) mask() uint64 { return uint64(len(s)) - 1 }

// find is the stream's entry, or nil and the slot to put it into.
func (s slots) find(hash uint64, tenant, stream string) (*entry, *slot) {
	mask := s.mask()
	for at := hash & mask; ; at = (at + 1) & mask {
		e := s[at].entry.Load()
		if e == nil || s[at].hash.Load() == hash && e.is(tenant, stream) {
			return e, &s[at]
		}
	}
}

// where is the slot that holds e, or nil if none does any more.
func (s slots) where(e *entry) *slot {
	mask := s.mask()
	for at := e.hash & mask; ; at = (at + 1) & mask {
		switch s[at].entry.Load() {
		case e:
			return &s[at]
		case nil:
			return nil
		}
	}
}

func (s slots) add(e *entry) {
	mask := s.mask()
	for at := e.hash & mask; ; at = (at + 1) & mask {
		if s[at].entry.Load() == nil {
			s[at].set(e)
			return
		}
	}
}

func (s *slot) set(e *entry) {
	s.hash.Store(e.hash)
	s.entry.Store(e)
}

const (
	shardBits = 6
	shardNum  = 1 << shardBits
	minSlots  = 8
)

// shard holds the streams whose hash begins with its number. Its lock is for
// writers only.
type shard struct {
	slots atomic.Pointer[slots]

	mu    sync.Mutex
	taken int    // slots that are not nil
	kept  int    // of these, the entries; the rest are graves
	grave *entry // stands in the slot of a pruned entry and matches no stream
	ended []*entry
	_     [56]byte
}

type table struct {
	seed   maphash.Seed
	shards [shardNum]shard
}

func (t *table) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		s := make(slots, minSlots)
		t.shards[i].slots.Store(&s)
		t.shards[i].grave = &entry{}
	}
}

type streamKey struct{ tenant, stream string }

func (t *table) hash(tenant, stream string) uint64 {
	return maphash.Comparable(t.seed, streamKey{tenant, stream})
}

func (t *table) shard(hash uint64) *shard {
	return &t.shards[hash>>(64-shardBits)]
}

// get is the read path: no lock, no allocation.
func (t *table) get(hash uint64, tenant, stream string) *entry {
	e, _ := t.shard(hash).slots.Load().find(hash, tenant, stream)
	return e
}

// change replaces the entry of a stream by what decide makes of the current
// one (nil: none yet), under the shard's lock. Returning the current one
// changes nothing.
func (t *table) change(hash uint64, tenant, stream string, decide func(*entry) *entry) {
	if len(tenant)+len(stream) > maxKey {
		return
	}
	sh := t.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	current, at := sh.slots.Load().find(hash, tenant, stream)
	next := decide(current)
	if next == current {
		return
	}
	if current == nil {
		if 2*(sh.taken+1) > len(*sh.slots.Load()) {
			sh.rebuild()
			_, at = sh.slots.Load().find(hash, tenant, stream)
		}
		sh.taken++
		sh.kept++
	}
	at.set(next)
	if !next.live() {
		sh.ended = append(sh.ended, next)
	}
}

// prune buries the entries without a claim that ended before the given time.
// An entry that was replaced since is no longer in its slot and stays.
func (t *table) prune(sh *shard, before int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n := 0
	for ; n < len(sh.ended) && sh.ended[n].ended < before; n++ {
		e := sh.ended[n]
		if at := sh.slots.Load().where(e); at != nil {
			at.entry.Store(sh.grave)
			sh.kept--
		}
		sh.ended[n] = nil
	}
	sh.ended = sh.ended[n:]
	if len(sh.ended) == 0 {
		sh.ended = nil
	}
}

// rebuild makes room for one more entry and drops the graves. Readers go on in
// the old slots, which nobody changes any more.
func (sh *shard) rebuild() {
	size := minSlots
	for size < 3*(sh.kept+1) {
		size *= 2
	}
	fresh := make(slots, size)
	for i := range *sh.slots.Load() {
		if e := (*sh.slots.Load())[i].entry.Load(); e != nil && e != sh.grave {
			fresh.add(e)
		}
	}
	sh.slots.Store(&fresh)
	sh.taken = sh.kept
}

// each calls f with every entry that is in the table for the whole walk.
func (t *table) each(f func(*entry)) {
	for i := range t.shards {
		sh := &t.shards[i]
		s := *sh.slots.Load()
		for j := range s {
			if e := s[j].entry.Load(); e != nil && e != sh.grave {
				f(e)
			}
		}
	}
}
