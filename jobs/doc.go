// Package jobs runs Wakelatch's background work on River: jobs are rows inserted by the transaction that
// makes them necessary, so they survive the node that made them, and any node works them.
package jobs
