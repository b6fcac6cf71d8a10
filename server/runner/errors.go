package runner

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound means that no runner of the tenant has the id.
	ErrNotFound = errors.New("no such runner: register it first")
	// ErrDisabled means that an operator has disabled the runner.
	ErrDisabled = errors.New("the runner is disabled: enable it first")
	// ErrForeign means that the runner's id belongs to another principal.
	ErrForeign = errors.New("the runner belongs to another principal: register under another id")
)

// InvalidError is a value that no retry will make right.
type InvalidError struct{ Field, Value, Why string }

// Error names the field, what it held and what it must be.
func (e *InvalidError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("invalid %s: %s", e.Field, e.Why)
	}
	return fmt.Sprintf("invalid %s %q: %s", e.Field, e.Value, e.Why)
}
