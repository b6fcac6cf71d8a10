// Package retention removes what nobody needs any more: claims that ended long ago with their history, old
// actions, and wake events that their runner has read. How long each is kept is a setting; zero keeps it for ever.
//
// # What is never removed
//
// An active claim, however old. The dispatch row of an entity, with its generation and how its last claim ended:
// the row of that claim itself goes with its age like every other. A message of an entity's stream, and with it
// the key that makes a repeated send one: both live as long as the stream. The state of a producer, without which
// a late retry would write twice. A wake event behind what its runner has reported, or of a wake that is
// still out.
//
// # How
//
// Every node takes turns, without a leader: all deletes are idempotent, rows that another node holds are skipped,
// so two nodes at work share it, and it goes on as long as one node does. A periodic job of River's would depend on
// its leader, and would write rows in order to remove rows.
//
// A batch is a short transaction of at most about a thousand rows that waits for nobody. After each comes a pause
// several times as long as the batch took, so that retention takes a small share of the database, and less
// of it the slower the database is. A turn goes through the tables in rounds until nothing is left or its rounds
// are used up; the rest is for the next turn.
//
// # What it leaves visible
//
// A claim that was removed is unknown: its row and its history answer 404 and with nothing. Its tokens are refused as those of
// any claim that is over, since the stream's row is the fence and not the claim's. A read of a wake stream from an
// offset that was removed begins at the first event that is left.
package retention
