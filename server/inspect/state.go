package inspect

import "time"

// State says in a word what an entity waits for.
type State string

// Every State.
const (
	// StateIdle has nothing to do.
	StateIdle State = "idle"
	// StateClaimed is worked on; StateReleasing is done, and its release follows within milliseconds.
	StateClaimed   State = "claimed"
	StateReleasing State = "releasing"
	// StateOverdue is under a claim that should be over by now: done and not released, or past its lease.
	StateOverdue State = "overdue"
	// StateWakeOut has a wake out that its runner has not claimed yet.
	StateWakeOut State = "wake_out"
	// StateDue has work, and its wake goes out with the next sweep.
	StateDue State = "due"
	// StateBackingOff failed, and is woken again when its time comes.
	StateBackingOff State = "backing_off"
	// StateParked failed too often in a row, and waits for an operator.
	StateParked State = "parked"
	// StateUnrouted has work, and no dispatch policy names a runner.
	StateUnrouted State = "unrouted"
	// The runner is not there for its work: it is not registered, or has been told to take none, or is offline.
	StateRunnerUnknown  State = "runner_unknown"
	StateRunnerDisabled State = "runner_disabled"
	StateRunnerDraining State = "runner_draining"
	StateRunnerOffline  State = "runner_offline"
	// The entity's own status says it all.
	StatePaused   State = "paused"
	StateStopping State = "stopping"
	StateStopped  State = "stopped"
	StateKilled   State = "killed"
	StateDeleted  State = "deleted"
)

const (
	statusPaused   = "paused"
	statusStopping = "stopping"
	statusStopped  = "stopped"
	statusKilled   = "killed"
	statusDeleted  = "deleted"

	adminDisabled = "disabled"
	adminDraining = "draining"
)

// releaseGrace is how long after its done a claim may stay before it is overdue; the sweep looks then.
const releaseGrace = 5 * time.Second

// judge is the state of what was read. A claim comes before all else: whatever is asked of the entity happens when
// the claim ends.
func (s *Service) judge(d Dispatch) State {
	if d.Owner != nil {
		return s.judgeOwner(d)
	}
	switch d.Status {
	case statusDeleted, statusKilled, statusStopped, statusStopping, statusPaused:
		return State(d.Status)
	}
	switch {
	case d.ParkedReason != "":
		return StateParked
	case !d.Pending:
		return StateIdle
	case d.Runner == nil:
		return StateUnrouted
	}
	if state := judgeRunner(*d.Runner); state != "" {
		return state
	}
	switch {
	case d.Wake != nil && !d.Runner.Online:
		return StateRunnerOffline
	case d.Wake != nil:
		return StateWakeOut
	case d.NextAttemptAt != nil && d.NextAttemptAt.After(d.Now):
		return StateBackingOff
	}
	return StateDue
}

func (s *Service) judgeOwner(d Dispatch) State {
	o := d.Owner
	switch {
	case o.DoneAt != nil && d.Now.Sub(*o.DoneAt) > releaseGrace:
		return StateOverdue
	case o.DoneAt != nil:
		return StateReleasing
	case o.LeaseExpiresAt == nil || d.Now.Sub(*o.LeaseExpiresAt) > 2*s.SweepInterval:
		return StateOverdue
	}
	return StateClaimed
}

func judgeRunner(r Runner) State {
	switch {
	case !r.Registered:
		return StateRunnerUnknown
	case r.AdminStatus == adminDisabled:
		return StateRunnerDisabled
	case r.AdminStatus == adminDraining:
		return StateRunnerDraining
	}
	return ""
}
