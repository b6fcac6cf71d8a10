package stream

import (
	"sync"

	"github.com/wakelatch/wakelatch/server/notify"
)

// topic is the waiters for one kind of thing and, for each that is waited for, the highest number that they were told
// or have read. A number was committed before it is announced, so whoever subscribes later reads at least it: a
// hint that is not above what is known has nothing to tell.
type topic struct {
	waiters *notify.Waiters

	mu    sync.Mutex
	known map[topicKey]*standing
}

func newTopic() *topic {
	return &topic{waiters: notify.NewWaiters(), known: map[topicKey]*standing{}}
}

type topicKey struct{ tenant, key string }

type standing struct {
	watches int
	number  int64
}

// unknown is the number of what nobody has looked at yet.
const unknown int64 = -1

// Watch is one waiter.
type Watch struct {
	topic  *topic
	key    topicKey
	waiter *notify.Waiter
}

func (t *topic) watch(k topicKey) *Watch {
	t.mu.Lock()
	s := t.known[k]
	if s == nil {
		s = &standing{number: unknown}
		t.known[k] = s
	}
	s.watches++
	t.mu.Unlock()
	return &Watch{topic: t, key: k, waiter: t.waiters.Subscribe(k.tenant, k.key)}
}

// C is ready when there may be news. One reading of it may stand for any number of changes.
func (w *Watch) C() <-chan struct{} { return w.waiter.C }

// Saw says what the waiter has read, so that it is not told again. What nobody knew before is news to the others, who
// may have read less: the hint of it will find it known and wake nobody.
func (w *Watch) Saw(number int64) {
	w.topic.mu.Lock()
	s := w.topic.known[w.key]
	news := number > s.number
	s.number = max(s.number, number)
	others := s.watches > 1
	w.topic.mu.Unlock()
	if news && others {
		w.topic.waiters.Wake(w.key.tenant, w.key.key)
	}
}

// Close ends the waiting. It is called once.
func (w *Watch) Close() {
	w.waiter.Close()
	w.topic.mu.Lock()
	defer w.topic.mu.Unlock()
	s := w.topic.known[w.key]
	if s.watches--; s.watches == 0 {
		delete(w.topic.known, w.key)
	}
}

// announce is news of this node's own: it always wakes.
func (t *topic) announce(k topicKey, number int64) {
	t.learn(k, number)
	t.waiters.Wake(k.tenant, k.key)
}

// hint wakes if it says something new.
func (t *topic) hint(k topicKey, number int64) {
	if t.learn(k, number) {
		t.waiters.Wake(k.tenant, k.key)
	}
}

// learn reports whether somebody waits for k and did not know number. A negative number is that the thing is
// gone: what comes after it counts from the beginning.
func (t *topic) learn(k topicKey, number int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.known[k]
	switch {
	case s == nil:
		return false
	case number < 0:
		s.number = unknown
		return true
	case number <= s.number:
		return false
	}
	s.number = number
	return true
}

// standings is what is waited for now and what is known of it.
func (t *topic) standings() (keys []topicKey, numbers []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, s := range t.known {
		keys = append(keys, k)
		numbers = append(numbers, s.number)
	}
	return keys, numbers
}
