// Package entity is what users and agents do to an entity besides claiming it: spawn, send, signal, tag and
// read it. Every change of status or tags raises the entity's version in the same statement, and whoever
// waits for a newer version is woken on any node. An operation that may leave work pending ends by arming
// the entity; see package claim for the locks and for what arming is.
package entity
