// Package client speaks Wakelatch's wire: it is what a Go program imports to send messages to entities, or
// to be the runner that works on them. It imports nothing else of the project.
//
// # Sending
//
// [Client] has a method for each call. A call is repeated, with a growing and jittered wait, until it is
// answered or its context ends: nodes come and go, and every call is made so that a repetition does nothing
// twice. What a node refuses is an [*Error] with the node's code, and is not repeated.
//
// # Running
//
// [Runner.Run] registers a runner, follows its wake stream and calls a [Handler] for each wake it could claim:
//
//	taking    follow the wake stream from the stored offset; a slot; claim; confirm
//	working   heartbeats beside it; read the input; the handler; flush its appends
//	done      acknowledge the input, or say that the work failed; repeated until it is answered
//
// A handler that returns nil has handled the whole input of its wake. One that returns an error leaves it
// pending: nothing is acknowledged, and the entity is woken again after a backoff. So a message is handled at
// least once, and what a handler appended before it failed stays in the stream.
//
// # When the claim is lost
//
// The lease of a claim that nobody heard of ends, an operator may release it, and the entity may be killed.
// The runner learns of it from the next answer to a heartbeat, an append or a tag: it cancels the handler's
// context with [ErrClaimLost] as its cause, and sends no done. No write of the old claim lands from then on,
// whatever the handler still does. While no node can be reached a handler goes on: only a node can say that
// a claim is over, and an outage of theirs costs nobody its lease.
//
// # Stopping
//
// When the context of Run ends, the runner takes no more wakes and waits for those it has. After the drain
// timeout it cancels their contexts with [ErrStopping], hands back the wake of each that then returns an error,
// so that its input goes to the next claim at once and not after a lease, and returns [ErrCutShort]. A handler
// may hand its wake back at any time by returning [ErrHandBack].
package client
