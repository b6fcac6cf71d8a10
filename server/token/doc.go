// Package token makes, checks and remembers the two secrets of a claim.
//
// A token is derived and never stored: it is an HMAC over its kind, the
// tenant, the stream, the consumer and the epoch, with tenant, consumer and
// epoch readable in front of it. Every node that holds the key can therefore
// compute the token of every claim, a restart loses none, and a forged token
// is refused without asking Postgres.
//
// # What the view is for
//
// A valid MAC says that a claim existed once, not that it is still the current
// one. That is a row in Postgres. [View] is the copy of those rows that an
// append is checked against: for each stream the one current claim, and the
// highest epoch known to be over.
//
//	          Put, look-up: active
//	nothing ────────────────────────▶ claim at epoch e ──┐ Put of e+n
//	   ▲                                │   │    ▲        │ (never of e-n)
//	   │ pruned after a minute          │   │    └────────┘
//	   │                     Drop(≥e)   │   │ Fenced(≥e), missing in a listing
//	   │                                ▼   ▼
//	   └──────────────── over: e        over: e-1
//
// # Guarantees
//
//   - Epochs of a stream only grow in the view: a claim is never replaced by
//     one of an older epoch, and an epoch once dropped does not come back, no
//     matter when a look-up or a listing that began before the drop ends.
//   - A claim is trusted for Options.Trust from the start of the look that
//     found it active, on the monotonic clock. After that, or after
//     [View.Distrust], Check answers Unknown and Authorize looks again. An
//     active claim is a yes whatever its lease says.
//   - Check reads memory only, takes no lock, allocates nothing and compares
//     tokens in constant time.
//
// # What it does not do
//
// The view may refuse early; it never makes a write right. A yes that is out
// of date meets the fence in the append statement, and the caller then tells
// the view with [View.Fenced].
package token
