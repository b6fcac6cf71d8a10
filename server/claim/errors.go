package claim

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNothingForYou means that the runner or the entity is not one a wake can be claimed for.
	ErrNothingForYou = errors.New("nothing to claim: the runner is unknown or disabled, or the entity does not exist")
	// ErrForeignRunner means that the runner belongs to another principal.
	ErrForeignRunner = errors.New("the runner belongs to another principal")
	// ErrAlreadyClaimed means that a claim of this entity is active and confirmed, or another's.
	ErrAlreadyClaimed = errors.New("the entity already has an active claim: go on to the next wake")
	// ErrNoPendingWork means that this wake is not outstanding for this runner: it was claimed, replaced or moved.
	ErrNoPendingWork = errors.New("this wake is not outstanding for this runner: go on to the next one")
	// ErrNotAwake means that the entity is paused, stopping, stopped or killed; its wake is cleared.
	ErrNotAwake = errors.New("the entity is not awake")
	// ErrAlreadyConfirmed means that another process confirmed this claim.
	ErrAlreadyConfirmed = errors.New("the claim is already confirmed by another process; only one may work on it")
	// ErrUnknownClaim means that there is no such claim, or that its row is past its retention.
	ErrUnknownClaim = errors.New("no such claim: it never was, or is past its retention")
	// ErrClaimLost is what a LostError is.
	ErrClaimLost = errors.New("the claim is no longer active")
)

// LostError says how a claim ended.
type LostError struct {
	Key    Key
	Status string // released, expired or failed; done while its release is under way
	Cause  string // the release cause, empty for done

	CurrentEpoch   int64          // the entity's newest; 0 if the operation did not look
	LeaseRemaining *time.Duration // of a claim that is done and whose release is under way; nil if it did not look, or none is left
}

func (e *LostError) Error() string {
	if e.Cause == "" {
		return fmt.Sprintf("claim %s epoch %d is %s", e.Key.Consumer, e.Key.Epoch, e.Status)
	}
	return fmt.Sprintf("claim %s epoch %d is %s (cause: %s): stop working on it", e.Key.Consumer, e.Key.Epoch, e.Status, e.Cause)
}

// Is makes every LostError an ErrClaimLost.
func (e *LostError) Is(target error) bool { return target == ErrClaimLost }
