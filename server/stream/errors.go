package stream

import (
	"errors"
	"fmt"

	"github.com/wakelatch/wakelatch/server/batch"
)

var (
	// ErrNotFound means that there is no stream at the path.
	ErrNotFound = errors.New("no such stream: create it, or spawn the entity whose stream it is")
	// ErrExists means that a stream with another content type is at the path.
	ErrExists = errors.New("a stream with another content type exists at this path: create it with that type, or elsewhere")
	// ErrFenced means that the writer does not hold the current, unsealed claim of an entity's main stream.
	ErrFenced = errors.New("the claim of this writer is not the stream's current one")
	// ErrForbidden means that streams of this kind are not created, written or deleted this way by anybody.
	ErrForbidden = errors.New("this stream is kept by the server: clients cannot create, close or delete it, and append only as the holder of its claim")
	// ErrContentTypeMismatch means that an append's content type is not the stream's.
	ErrContentTypeMismatch = errors.New("the content type is not the stream's: send the one it was created with")
	// ErrStreamSeq means that Stream-Seq did not grow.
	ErrStreamSeq = errors.New("stream-seq must be greater than that of the last append")
	// ErrUnavailable means that the database could not be reached for as long as the service rides it out.
	ErrUnavailable = batch.ErrUnavailable
)

// ClosedError means that the stream takes no more appends. Tail is where it ends.
type ClosedError struct{ Tail Offset }

// Error says what became of the stream.
func (e *ClosedError) Error() string {
	return "the stream is closed and takes no more appends: write to another"
}

// ProducerGapError means that a producer left out sequence numbers.
type ProducerGapError struct{ Expected, Received int64 }

// Error names both numbers.
func (e *ProducerGapError) Error() string {
	return fmt.Sprintf("producer sequence gap: expected %d, received %d", e.Expected, e.Received)
}

// ProducerStaleError means that a newer epoch of the producer has written; Epoch is that epoch.
type ProducerStaleError struct{ Epoch int64 }

// Error names the newer epoch.
func (e *ProducerStaleError) Error() string {
	return fmt.Sprintf("stale producer epoch: the producer is at epoch %d, and takes that or a higher one", e.Epoch)
}

// InvalidError is a value that no retry will make right.
type InvalidError struct{ Field, Value, Why string }

// Error names the field, what it held and what it must be.
func (e *InvalidError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("invalid %s: %s", e.Field, e.Why)
	}
	return fmt.Sprintf("invalid %s %q: %s", e.Field, e.Value, e.Why)
}
