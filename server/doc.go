// Package server puts a node together and takes it apart again. It is the composition root: it knows every
// part, and no part knows it. Two nodes can live in one process.
//
// # Overview
//
// Wakelatch keeps the claim lifecycle of pull-wake runners. An entity, an agent with an event stream, gets a
// message; a wake tells its runner; the runner claims the wake, writes to the entity's stream with a write
// token, and posts done. Postgres decides that lifecycle; memory only protects writes. The check on every
// append is a look in memory, which is a copy of rows, and the statement that appends refuses a writer whose
// epoch is over. So a copy that is out of date can cost a retry, and never makes a wrong write.
//
// Nodes hold nothing that another one needs. Any request of a wake may reach any node, in any order.
//
//	cmd/wakelatch          flags, signals, exit codes
//	  └ server             this package: boot, stop, who knows whom
//	     ├ server/api      HTTP, and nothing but HTTP
//	     ├ jobs            River: the releases that a done leaves behind
//	     └ server/claim, entity, entitytype, runner, stream     the domain, one operation a file
//	        ├ server/token     the two secrets, and the memory of who may write
//	        ├ server/notify    hints between nodes
//	        ├ server/batch     group commit
//	        └ sql/…            statements, migrations, the seam to the driver
//
// Imports go down this list and never up; a test keeps it so.
//
// # The path of a wake
//
//	user ── send ─────▶ entity: message appended, entity armed: generation+1, wake event on the runner's stream
//	runner ── read ───▶ stream: long-poll of the wake stream, woken in memory or by NOTIFY
//	runner ── claim ──▶ claim: active, lease, entity running; answers a claim token
//	runner ── confirm ▶ claim: once; answers a write token
//	runner ── append ─▶ token.View says perhaps, then the fenced append says yes
//	runner ── beat ───▶ claim: lease extended
//	runner ── done ───▶ claim: done recorded, epoch sealed, River job inserted, all in one transaction; then 200
//	              job ▶ claim: released, entity idle, next wake if work is pending, NOTIFY: all nodes drop the token
//
// # States
//
//	entity    idle ──claim──▶ running ──release──▶ idle        stopping ──release──▶ stopped
//	            any of these ──SIGSTOP──▶ paused ──SIGCONT──▶ idle, or running under an active claim
//	claim     active ──▶ released (done, hand-back, force) | expired (lease) | failed (its holder said so); all final
//	wake      none ──arm──▶ out ──claim──▶ taken;  out and not claimed: appended again, later and later
//
// # Guarantees
//
// At most one claim of an entity is active. Epochs of an entity only grow. No append and no tag write lands
// with an epoch that is not the current, unsealed one. A release, the entity's status, its next wake, the
// history and the notification commit together or not at all. A done is idempotent, and a late one changes its
// own row only. Work that is pending without a wake out is found within the sweep's interval.
//
// # When something fails
//
// A node that dies loses no claim, no token and no recorded done: tokens are derived from a key, and the rest
// is rows. A runner that dies is found by its lease, and its work goes to a new epoch. A lost notification
// costs at most the reconcile interval. A database that is away is waited for inside the requests, up to the
// ride-out, and nobody's lease ends because of it: after a gap in the sweeps, leases are extended first. A
// part of a node that ends before the node does brings the node down, so that no node is half alive.
//
// # Boot and stop
//
// [Server.Start] opens the pools, checks the schema, starts the listener and waits for its first look at the
// rows, starts the publisher, River and the loops, binds the listen address and says last that it is ready.
// Each part registers its cleanup on the line after it was acquired, and [Server.Stop] runs them backwards:
// not ready, the drain delay, an end to long-polls, the requests that are left, River, the loops, a last
// flush of the publisher, the listener, the pools.
package server
