package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// The bounds of one request and of what waits for it.
const (
	maxBatchEvents = 512
	maxBatchBytes  = 256 << 10
	maxQueuedBytes = 4 << 20
)

// appender writes a wake's events in their order, one request at a time, with everything that was queued
// meanwhile in the next. Its first failure is final: a request that was refused left a gap that nothing may
// be written behind.
type appender struct {
	send func(ctx context.Context, seq int64, body []byte) (next string, err error)

	mu      sync.Mutex
	queue   []json.RawMessage
	bytes   int
	added   int64 // events that were ever queued
	stored  int64 // of those, the ones that are stored
	next    string
	failure error
	changed chan struct{} // closed at the next change of any of the above
}

func newAppender(send func(context.Context, int64, []byte) (string, error)) *appender {
	return &appender{send: send, changed: make(chan struct{})}
}

// change must be called with the lock held.
func (a *appender) change() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// until waits for a condition, which is judged with the lock held and returns with it held only if nil.
func (a *appender) until(ctx context.Context, holds func() bool) error {
	a.mu.Lock()
	for a.failure == nil && !holds() {
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		a.mu.Lock()
	}
	if a.failure != nil {
		defer a.mu.Unlock()
		return a.failure
	}
	return nil
}

// add queues events and returns the number of the last.
func (a *appender) add(ctx context.Context, events []json.RawMessage) (last int64, err error) {
	size := 0
	for _, e := range events {
		size += len(e) + 1
	}
	if err := a.until(ctx, func() bool { return a.bytes == 0 || a.bytes+size <= maxQueuedBytes }); err != nil {
		return 0, err
	}
	defer a.mu.Unlock()
	a.queue = append(a.queue, events...)
	a.bytes += size
	a.added += int64(len(events))
	a.change()
	return a.added, nil
}

// wait returns when the event with this number is stored.
func (a *appender) wait(ctx context.Context, last int64) error {
	if err := a.until(ctx, func() bool { return a.stored >= last }); err != nil {
		return err
	}
	a.mu.Unlock()
	return nil
}

func (a *appender) flush(ctx context.Context) error {
	a.mu.Lock()
	last := a.added
	a.mu.Unlock()
	return a.wait(ctx, last)
}

// tail is the offset that the last append answered which answered one: up to it nothing came that this
// wake did not read.
func (a *appender) tail() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next
}

// run writes what is queued until ctx ends or a request is refused.
func (a *appender) run(ctx context.Context) {
	for seq := int64(0); ; seq++ {
		batch, err := a.take(ctx)
		if err != nil {
			a.fail(err)
			return
		}
		next, err := a.send(ctx, seq, body(batch))
		if err != nil {
			a.fail(err)
			return
		}
		a.mu.Lock()
		a.stored += int64(len(batch))
		if next != "" {
			a.next = next
		}
		a.change()
		a.mu.Unlock()
	}
}

// take waits for events and takes as many as one request may have, at least one.
func (a *appender) take(ctx context.Context) ([]json.RawMessage, error) {
	if err := a.until(ctx, func() bool { return len(a.queue) > 0 }); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	n, size := 0, 0
	for n < len(a.queue) && n < maxBatchEvents && (n == 0 || size+len(a.queue[n])+1 <= maxBatchBytes) {
		size += len(a.queue[n]) + 1
		n++
	}
	batch := a.queue[:n:n]
	a.queue = a.queue[n:]
	a.bytes -= size
	a.change()
	return batch, nil
}

func (a *appender) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failure, a.queue, a.bytes = err, nil, 0
	a.change()
}

// body is a JSON array of the events.
func body(events []json.RawMessage) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, e := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// append sends one batch under a sequence number, which makes its repetitions the same append.
func (w *Wake) append(ctx context.Context, seq int64, body []byte) (next string, err error) {
	answer, err := w.client.call(ctx, request{
		method: http.MethodPost, url: w.client.base.String() + w.claim.StreamPath, body: body, token: w.token,
		header: http.Header{
			"Producer-Id":    {"entity-" + w.claim.Entity.URL},
			"Producer-Epoch": {strconv.FormatInt(w.claim.Epoch, 10)},
			"Producer-Seq":   {strconv.FormatInt(seq, 10)},
		},
	})
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrClaimLost) {
			return "", cause
		}
		return "", fmt.Errorf("append to the entity's stream: %w", w.judge(err))
	}
	return answer.header.Get("Stream-Next-Offset"), nil
}
