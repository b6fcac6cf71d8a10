// Package demo shows on one machine, in less than a minute, what Wakelatch is for: nodes and runners are
// killed in the middle of their work, and nothing is lost, doubled or stuck. It is wakelatch demo.
//
// # What takes part
//
//	this process     Postgres of its own · a round-robin balancer · the sender of messages · the verdict
//	two processes    wakelatch serve: nodes behind the balancer
//	three processes  wakelatch run: one runner, whose wakes they share; each runs the agent for each wake
//
// The runners are wakelatch run and not a loop over server/client, because that is what an operator starts, and
// because of what it leaves behind: a runner that is killed orphans the agent it had started, and the orphan
// goes on, holding a write token. It is the writer that must be refused. The agent tells this process at which
// point of its wake it is and waits to be told to go on, so that the faults hit exactly where they are to.
//
// # What goes wrong
//
//   - The agent of a wake has begun. The node that confirmed its claim is killed, and started again a second
//     later. The wake goes on, by the other node.
//   - The agent of a wake has written that its messages are handled. Its runner is killed before it could say
//     done. The lease ends, another process takes over and handles the messages again. While it does, the
//     orphan appends once more on every node, with the token of the claim that is over.
//
// Every kill is a SIGKILL.
//
// # The verdict
//
// [Judge] takes a [Story], which is read from the rows and from what is stored in the streams, after everything
// has come to rest or has had the time to. What processes say counts for two things only, which no row can show:
// which node confirmed a claim, and what the orphan was answered.
//
// With the fence broken the nodes take the orphan's append, and the story has a write of an epoch that was over:
// a verdict that did not see it would be worth nothing.
//
// # How it ends
//
// Nodes and runners are one process group, led by a shell that waits for the end of a pipe which only this
// process holds. When it ends, in whatever manner, the shell kills the group. Agents hold a connection to this
// process and end with it. Postgres has a watchdog of its own.
package demo
