// Package batch is a group commit: items that arrive while a flush is in
// flight go together in the next one. There is no timer. An idle batcher
// flushes its first item at once and alone; under load the batches grow to
// what arrives during one transaction.
//
//	Do ──▶ queue ──▶ flusher ──▶ Flush ──▶ a result per item
//	         ▲           │
//	         │ transient │ alone, or fatal for more than one item
//	         └───────────┤
//	                     └──▶ lanes ──▶ Flush, one item at a time
//
// # When a flush fails
//
// An item's own Result.Err is its answer and is never retried. An error of the
// whole flush is retried by its [Class]: with trouble of the connection the
// items return to the front of the queue and the batcher backs off; otherwise
// each item is tried alone, in lanes beside the flushers, so that a bad or a
// blocked one holds up nobody else. A retried Call has Attempt > 0, since a
// connection that breaks at COMMIT does not tell whether it committed: the
// flush must look for the earlier attempt first.
//
// # Bounds
//
// No item waits longer than Options.RideOut plus the flush in flight then. An
// item that could not be flushed by that time is answered with
// [ErrUnavailable], which wraps the last error. A flush has Options.Timeout.
//
// # Order
//
// A batch is taken from the front of the queue, in the order of the calls to
// Do. That is all that holds by default: with several flushers, or after a
// retry alone, a later item may commit before an earlier one, and an item that
// Admit refuses is overtaken by those it accepts. With Options.Key, items of
// one key commit in the order of their calls and are never in two flushes at
// once, whatever happens.
package batch
