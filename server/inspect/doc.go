// Package inspect answers what people ask of the lifecycle: which claims there are, what happened to an entity or a
// runner, and why an entity waits. It reads one snapshot of the rows and changes nothing, so that asking in the
// middle of an incident does no harm.
//
// Lists go from the newest to the oldest. A cursor names the last row of a page by its time and its keys; rows that
// are added meanwhile are newer, so that no row is shown twice and none that was there is left out.
package inspect
