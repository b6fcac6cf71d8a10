package batch

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	// ErrStopped answers a call that came after Run began to stop.
	ErrStopped = errors.New("the batcher has stopped: send the request to another node")
	// ErrUnavailable answers an item that could not be flushed in time. It may
	// or may not have been committed by an attempt whose answer was lost.
	ErrUnavailable = errors.New("unavailable")
)

// Call is an item on its way into a flush.
type Call[In any] struct {
	In In
	// Attempt counts the flushes this item was in before. Above zero, it may
	// have been committed already.
	Attempt int
}

// Result answers one Call.
type Result[Out any] struct {
	Out Out
	Err error
}

// Flush commits the calls together and answers each of them, in their order.
// An error means that the whole flush failed. The calls are valid until it
// returns, and it must end when ctx does.
type Flush[In, Out any] func(ctx context.Context, calls []Call[In]) ([]Result[Out], error)

// Class says what becomes of a flush that failed as a whole.
type Class int

const (
	// Fatal is an error that comes again. Several items are tried one by one,
	// so that only the bad one is answered with it.
	Fatal Class = iota
	// Transient is trouble with the connection: the batch is tried again.
	Transient
	// Alone is an error that the company caused, such as a lock time-out or a
	// serialization failure: each item is tried alone, until it succeeds or
	// its time is over.
	Alone
)

// Options configure a Batcher. The zero value of all but Name is usable.
type Options[In any] struct {
	// Name is the batch label of the metrics and begins error messages.
	Name string
	// MaxItems bounds a batch. Zero means 128.
	MaxItems int
	// Flushers is how many flushes may be in flight. Zero means 1.
	Flushers int
	// Lanes is how many items may be tried alone at once, beside the flushers.
	// Zero means 2.
	Lanes int
	// Admit makes a fresh rule for each batch, which decides item by item what
	// may go together. A refused item keeps its place in the queue. The first
	// item of a batch goes whatever the rule says. It must not block.
	Admit func() func(In) bool
	// Key names what an item must be in order with; "" is in order with
	// nothing. It must not block.
	Key func(In) string
	// RideOut is how long after its arrival an item is still tried. Zero means
	// 10 s.
	RideOut time.Duration
	// Timeout bounds one flush. Zero means 5 s.
	Timeout time.Duration
	// Classify judges the error of a flush. Nil finds every error Fatal.
	Classify func(error) Class
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

func (o *Options[In]) fill() {
	if o.MaxItems <= 0 {
		o.MaxItems = 128
	}
	if o.Flushers <= 0 {
		o.Flushers = 1
	}
	if o.Lanes <= 0 {
		o.Lanes = 2
	}
	if o.RideOut <= 0 {
		o.RideOut = 10 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Classify == nil {
		o.Classify = func(error) Class { return Fatal }
	}
}
