package apikey

import (
	"errors"
	"fmt"
	"time"
)

// Refusals of a key. ErrUnknown is said of a wrong secret too; the other two are said only to who has the secret.
var (
	ErrUnknown = errors.New("the API key is unknown: send it whole, as it was shown when it was made")
	ErrRevoked = errors.New("the API key was revoked: ask for a new one")
	ErrExpired = errors.New("the API key has expired: ask for a new one")
)

// ErrBusy means that too many keys which nobody has seen wait to be looked up.
var ErrBusy = errors.New("too many unknown API keys are being looked up: try again")

// ErrNotFound means that no key has this id.
var ErrNotFound = errors.New("there is no API key with this id")

// LimitedError is a request beyond what its key may send.
type LimitedError struct {
	// After is when the next request will be taken.
	After time.Duration
}

// Error says when to come again.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("the API key sends more requests than it may: send the next one in %s", e.After.Round(time.Millisecond))
}

// InvalidError is a wrong value in a request to make, list or revoke keys.
type InvalidError struct {
	// Field is what it is a value of.
	Field string
	// Why says what it must be, and reads on from the field.
	Why string
}

// Error names the field first.
func (e *InvalidError) Error() string { return e.Field + " " + e.Why }

func invalid(field, why string) error { return &InvalidError{Field: field, Why: why} }
