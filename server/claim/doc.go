// Package claim is the claim lifecycle: who owns an entity, since when, and until when. Postgres decides
// it; every operation is one transaction on the database's clock, and every rule is a constraint or a
// guard of the statement that writes.
//
//	           arm                claim               done / expire / force release
//	idle ─────────────▶ wake out ─────────▶ active ─────────────────────────────────▶ released, expired
//	  ▲                    │  ▲               │ ▲                                      or failed (final)
//	  │      not awake     │  │ emit again    │ │ confirm once, heartbeats                   │
//	  └────────────────────┘  └──(unclaimed)  └─┘                                           │
//	  ▲                                                                                     │
//	  └──────────────── work still pending: armed again with generation+1 ◀─────────────────┘
//
// Locks are taken in one order everywhere: dispatch rows, claims, leases, entities, main streams, wake
// streams; each set by key, by a statement of its own, before the statement that reads what it protects.
// Whoever changes the status of an entity or of a claim holds the entity's dispatch row, except that a
// done only notes itself on its claim and seals the stream. A done is therefore answered as soon as it is
// recorded, and no write of its epoch lands from then on; the release follows in a River job inserted by
// the same transaction.
//
// Work that ends in a failure (expired, failed, or done without an acknowledgement) is tried again after a
// backoff, and after so many failures in a row its entity is parked, with the reason, in the statement that ends
// the last claim. A parked entity takes messages and gets no wake until somebody un-parks it: not by a message,
// not by a signal.
//
// A lease that has ended takes nothing away by itself. A claim ends when a transaction seals its epoch:
// until then its holder may confirm, append, heartbeat and finish.
package claim
