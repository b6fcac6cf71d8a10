// Package notify carries hints between nodes over Postgres' LISTEN and NOTIFY,
// and wakes those who wait for them on this node.
//
// A notification is a hint, never the truth: it may be lost, doubled or late,
// and whoever gets one reads rows before believing anything. What makes that
// safe is that a [Handler] is also told when it may have missed something.
//
//	          ┌──────────── backoff with jitter ◀───────────┐
//	          ▼                                             │ error, ping
//	connect, LISTEN ──▶ Resync from rows ──▶ healthy ───────┤ unanswered
//	                        ▲    (Notify from here on)      │
//	                        └──── unreadable payload ◀──────┘
//
// # Guarantees
//
//   - LISTEN is committed before Resync begins, so what is committed after the
//     resync's snapshot is notified, and what was committed before is in it.
//   - Events are handled while a resync runs, too; none waits for it or is lost
//     to it. Notify and Resync of a handler may therefore run at once.
//   - A peer that vanished without a word is found within the ping interval
//     and its time-out, and so is a payload nobody can read: it is counted and
//     causes a resync.
//
// # Sending
//
// What must not be missed by more than one reconcile is sent inside its
// transaction with [Encode] and pg_notify. That takes a lock of the whole
// database until the commit, so the frequent hints (stream tails) go out after
// their commit through a [Publisher], coalesced, one statement at a time.
package notify
