// Package dbtest gives every test a database of its own on a real Postgres.
//
// A test binary has one server, started by the first test that asks and stopped
// by [Main]. On it one template is migrated once, and [New] clones it, which
// takes a few milliseconds. Nothing a test writes is seen by another one, so
// tests that wait for the database may run in parallel.
//
// A test that interrupts the server must not take it away from others: it makes
// one for itself with [NewServer].
package dbtest
