package batch

import "time"

// item is one call to Do. Its list fields, attempt and queued are guarded by
// the batcher's lock; out and err are written by whoever took it, before done.
type item[In, Out any] struct {
	in      In
	key     string
	born    time.Time
	attempt int
	queued  bool

	out  Out
	err  error
	done chan struct{} // of capacity 1, so an answer never waits for its caller

	prev, next *item[In, Out]
}

// queue is a list that its items carry themselves, so that a caller leaves it
// from the middle and a failed batch returns to its front, both at once.
type queue[In, Out any] struct {
	first, last *item[In, Out]
}

func (q *queue[In, Out]) pushBack(it *item[In, Out]) {
	it.queued = true
	it.prev, it.next = q.last, nil
	if q.last == nil {
		q.first = it
	} else {
		q.last.next = it
	}
	q.last = it
}

func (q *queue[In, Out]) pushFront(it *item[In, Out]) {
	it.queued = true
	it.prev, it.next = nil, q.first
	if q.first == nil {
		q.last = it
	} else {
		q.first.prev = it
	}
	q.first = it
}

func (q *queue[In, Out]) remove(it *item[In, Out]) {
	it.queued = false
	if it.prev == nil {
		q.first = it.next
	} else {
		it.prev.next = it.next
	}
	if it.next == nil {
		q.last = it.prev
	} else {
		it.next.prev = it.prev
	}
	it.prev, it.next = nil, nil
}
