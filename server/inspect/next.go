package inspect

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Next is what happens to an entity next, and the command that changes it.
type Next struct {
	// What is a sentence.
	What string `json:"what"`
	// At is when it happens at the latest, if that is known.
	At *time.Time `json:"at,omitempty"`
	// Command is what an operator types to have it otherwise; "" if nothing needs to be.
	Command string `json:"command,omitempty"`
}

func (s *Service) next(d Dispatch) Next {
	if d.Owner != nil {
		return s.nextOfOwner(d)
	}
	switch d.State { //nolint:exhaustive // those of the owner and of the runner have functions of their own
	case StateIdle:
		return nextOfIdle(d)
	case StateDue:
		at := d.Now.Add(s.SweepInterval)
		return Next{What: "the next sweep sends a wake to runner " + d.Runner.ID, At: &at}
	case StateWakeOut:
		return Next{
			What: fmt.Sprintf("runner %s is online and claims the wake; until it does, the wake is announced again", d.Runner.ID),
			At:   d.Wake.NextEmissionAt, Command: move(d),
		}
	case StateBackingOff:
		return Next{
			What: fmt.Sprintf("a wake goes to runner %s again, after %d failures in a row", d.Runner.ID, d.Failures),
			At:   d.NextAttemptAt, Command: entity("pause", d) + " && " + entity("resume", d),
		}
	case StateParked:
		return Next{What: "nothing, until the entity is un-parked: " + d.ParkedReason, Command: entity("unpark", d)}
	case StateUnrouted:
		return Next{What: "nothing: no dispatch policy names a runner", Command: move(d)}
	case StateRunnerUnknown, StateRunnerDisabled, StateRunnerDraining, StateRunnerOffline:
		return nextOfRunner(d)
	}
	return nextOfStatus(d)
}

func nextOfIdle(d Dispatch) Next {
	if d.Runner == nil {
		return Next{What: "nothing: no message waits, and no dispatch policy names a runner for the next one", Command: move(d)}
	}
	return Next{What: "nothing: no message waits; the next one that is sent wakes runner " + d.Runner.ID}
}

// nextOfOwner is about the claim, and then about what becomes of the entity when it is over.
func (s *Service) nextOfOwner(d Dispatch) Next {
	o := d.Owner
	release := Next{Command: fmt.Sprintf("wakelatch claims release %s %d --reason WHY", quoted(o.ConsumerID), o.Epoch)}
	switch d.State { //nolint:exhaustive // an owner has these three
	case StateReleasing:
		release.What, release.Command = "the claim is done and is released within milliseconds", ""
	case StateOverdue:
		release.What = "the claim should be over by now: the sweep ends it, if any node sweeps; wakelatch doctor says more"
	default:
		release.What = fmt.Sprintf("runner %s posts done; if it is not heard of, the claim expires and the work goes to the next one", o.RunnerID)
		release.At = o.LeaseExpiresAt
	}
	switch d.Status {
	case statusPaused:
		release.What += "; then the entity stays paused"
	case statusStopping:
		release.What += "; then the entity is stopped"
	}
	return release
}

func nextOfRunner(d Dispatch) Next {
	r := d.Runner
	switch d.State { //nolint:exhaustive // the caller has the others
	case StateRunnerUnknown:
		return Next{What: fmt.Sprintf("nothing, until a runner %s is registered or the entity is moved to another one", r.ID), Command: move(d)}
	case StateRunnerDisabled, StateRunnerDraining:
		return Next{
			What:    fmt.Sprintf("nothing, until runner %s, which is %s, is enabled or the entity is moved to another one", r.ID, r.AdminStatus),
			Command: fmt.Sprintf("wakelatch runners enable %s --reason WHY", quoted(r.ID)),
		}
	}
	seen := "was never heard of"
	if r.LastSeenAt != nil {
		seen = "is offline"
	}
	return Next{What: fmt.Sprintf("runner %s %s; it claims the wake when it comes back", r.ID, seen), Command: move(d)}
}

// nextOfStatus is for an entity without a claim that takes no wakes.
func nextOfStatus(d Dispatch) Next {
	switch d.State { //nolint:exhaustive // the caller has the others
	case StatePaused:
		what := "nothing, until the entity is resumed"
		if d.Pending {
			what += "; then the messages that wait wake its runner"
		}
		return Next{What: what, Command: entity("resume", d)}
	case StateStopping:
		return Next{What: "the entity is stopping without a claim, which nothing ends; wakelatch doctor says more", Command: entity("kill", d)}
	case StateStopped, StateKilled:
		return Next{
			What:    fmt.Sprintf("nothing: the entity is %s for good; deleted, it may be spawned again under its name", d.Status),
			Command: entity("delete", d),
		}
	}
	return Next{What: "nothing: the entity is deleted; spawned again it goes on after generation " + strconv.FormatInt(d.Generation, 10)}
}

func entity(action string, d Dispatch) string {
	return fmt.Sprintf("wakelatch entities %s %s --reason WHY", action, quoted(d.EntityURL))
}

func move(d Dispatch) string {
	return fmt.Sprintf("wakelatch entities move %s --to RUNNER --reason WHY", quoted(d.EntityURL))
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
