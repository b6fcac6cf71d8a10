// Package runner keeps the runners: who they are, whether they are alive, and how healthy their work is.
//
// A runner is registered once and again at every start of its host. Registering makes its wake stream,
// runners/{id}/wake, on which the server announces wakes. From then on heartbeats say that it is alive:
// each extends its liveness lease and stores how far it has read its wake stream, so that a restarted
// runner resumes there.
//
// The liveness lease is the runner's, not a claim's: its end changes no claim. It only tells operators
// that nobody is there, and this package that somebody came back. A runner that registers, comes back or
// is enabled finds its outstanding wakes appended to its wake stream again at once, because the client
// drops a wake after one failed claim.
//
// Time is the database's. A heartbeat writes one narrow row and, unless the runner comes back, locks
// nothing else. Every operation is one round trip, may be repeated without harm, and is repeated while
// the database is away for a short time.
package runner
