package entitytype

import (
	"errors"
	"fmt"
)

// ErrNotFound means that the tenant has no type of the name.
var ErrNotFound = errors.New("no such entity type: register it first")

// InvalidError is a value that no retry will make right.
type InvalidError struct{ Field, Value, Why string }

// Error names the field, what it held and what it must be.
func (e *InvalidError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("invalid %s: %s", e.Field, e.Why)
	}
	return fmt.Sprintf("invalid %s %q: %s", e.Field, e.Value, e.Why)
}

const maxQuoted = 64

func invalid(field, value, why string) error {
	if len(value) > maxQuoted {
		value = value[:maxQuoted] + "…"
	}
	return &InvalidError{Field: field, Value: value, Why: why}
}
