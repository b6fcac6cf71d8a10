package apikey

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// memory is the keys that were looked up, both those that are there and those that are not. Both are bounded.
type memory struct {
	newLimiter func() *rate.Limiter

	mu      sync.RWMutex
	known   map[string]*entry
	missing map[string]time.Time
}

// A stranger's id may be tried again after this; an id that was just made is not among those tried before.
const missingFor = 2 * time.Second

func (m *memory) init(newLimiter func() *rate.Limiter) {
	m.newLimiter = newLimiter
	m.known, m.missing = map[string]*entry{}, map[string]time.Time{}
}

func (m *memory) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.known)
}

// get is what is known of an id; a nil entry that is known is an id that is not there.
func (m *memory) get(id string, now time.Time, trust time.Duration) (e *entry, known bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if e := m.known[id]; e != nil {
		return e, now.Sub(e.asked) <= trust
	}
	asked, missed := m.missing[id]
	return nil, missed && now.Sub(asked) <= missingFor
}

func (m *memory) limiter(id string) *rate.Limiter {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if e := m.known[id]; e != nil {
		return e.limiter
	}
	return nil
}

// put remembers the answer for the ids and returns what is then known of them. An answer that was asked for earlier than
// the one known changes nothing: it may not have seen a revocation.
func (m *memory) put(ids []string, found map[string]*entry, asked time.Time) map[string]*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := make(map[string]*entry, len(found))
	for _, id := range ids {
		e, old := found[id], m.known[id]
		switch {
		case old != nil && old.asked.After(asked):
			held[id] = old
		case e == nil:
			delete(m.known, id)
			m.miss(id, asked)
		case old == e:
			held[id] = e
		default:
			m.replace(old, e)
			held[id] = e
		}
	}
	return held
}

// replace puts the new entry in the place of the old one, whose limit and last use it takes over.
func (m *memory) replace(old, e *entry) {
	if old != nil {
		e.limiter = old.limiter
		e.used.Store(old.used.Load())
	} else {
		m.makeRoom()
		e.limiter = m.newLimiter()
		e.used.Store(e.asked.UnixNano())
	}
	delete(m.missing, e.key.ID)
	m.known[e.key.ID] = e
}

// makeRoom forgets the key that was not used for longest, if there are too many.
func (m *memory) makeRoom() {
	if len(m.known) < maxKnown {
		return
	}
	var oldest *entry
	for _, e := range m.known {
		if oldest == nil || e.used.Load() < oldest.used.Load() {
			oldest = e
		}
	}
	delete(m.known, oldest.key.ID)
}

// miss remembers an id that is not there. When there are too many, all are forgotten: they are a moment's anyway.
func (m *memory) miss(id string, asked time.Time) {
	if len(m.missing) >= maxMissing {
		clear(m.missing)
	}
	m.missing[id] = asked
}

// inUse is the ids to read again. It forgets those that nobody has used for a while.
func (m *memory) inUse(now time.Time) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, asked := range m.missing {
		if now.Sub(asked) > missingFor {
			delete(m.missing, id)
		}
	}
	ids := make([]string, 0, len(m.known))
	for id, e := range m.known {
		if now.UnixNano()-e.used.Load() > int64(forgetAfter) {
			delete(m.known, id)
			continue
		}
		ids = append(ids, id)
	}
	return ids
}
