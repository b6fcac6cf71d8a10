// Package stream keeps durable streams: create, append, read, delete, and the fence that decides whose
// appends to an entity's stream land.
//
// # Offsets
//
// A stream is a sequence of appends, and an offset counts its bytes; see [Offset]. What a JSON append
// looks like to a reader is decided when it is written: [JSONMessages] validates it, takes its items
// apart and notes where headers.offset belongs, so a read only copies.
//
// # The path of an append
//
//	Append ── batch: whatever arrives while a transaction is in flight ──▶ one round trip:
//	              lock the stream rows, in key order
//	              judge: exists · fence · closed · content type · producer · Stream-Seq
//	              write: messages, producers, tails
//	         ◀── a result for each; then readers are woken, here in memory, elsewhere by NOTIFY
//
// The fence is the one thing that makes a write to a main stream right: (consumer, epoch) of the writer
// is that of the stream's row, and the epoch is not sealed, both read under the row's lock. Whatever a
// node remembers of tokens can cost a retry, never a wrong write. It is judged before everything else a
// stream could answer, so a writer whose claim is over learns nothing but that.
//
// # Guarantees
//
//   - An append answered with an offset is committed, whole, and every read that begins later sees it.
//   - A producer's sequence number is written once. An append without a producer has a key made before
//     its first attempt, and an attempt that follows one of unknown outcome looks for that key first.
//   - An append by a holder says whether anything came from outside since its claim ([Appended].Outside).
//     Only inbox messages, tags and signals, which other packages write in their own transactions, count
//     as outside; appends to plain streams do not, as nobody holds a claim on those.
//   - A waiting read subscribes before it looks, so no append falls between. Hints may be lost: the
//     [Hub]'s reconcile bounds what that costs.
//
// # Failures
//
// Short database trouble is ridden out inside the call, up to Options.RideOut; then the error is
// [ErrUnavailable]. An append that meets a lock time-out leaves its batch and is tried alone. When a
// waiting read's context ends it answers as at its time-out, so that draining a node breaks no reader.
package stream
