package entity

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound means that there is no such entity.
	ErrNotFound = errors.New("no such entity; PUT /_electric/entities/{type}/{id} makes one")
	// ErrUnknownType means that the entity type is not registered.
	ErrUnknownType = errors.New("the entity type is not registered; POST /_electric/entity-types registers it")
	// ErrUnknownRunner means that the dispatch policy names a runner that is not registered.
	ErrUnknownRunner = errors.New("the runner of the dispatch policy is not registered; POST /_electric/runners registers it")
	// ErrFenced means that a tag write's claim is over.
	ErrFenced = errors.New("the claim of this write token is over")
	// ErrTimeout means that no newer version came in time.
	ErrTimeout = errors.New("no newer version yet")
	// ErrNotRunning is what a NotRunningError is.
	ErrNotRunning = errors.New("the entity takes no more writes")
	// ErrExists is what an ExistsError is.
	ErrExists = errors.New("the entity exists already")
)

// NotRunningError names the status that forbids the write.
type NotRunningError struct{ Status string }

func (e *NotRunningError) Error() string {
	return fmt.Sprintf("the entity is %s and takes no more messages, tags or signals: spawn another", e.Status)
}

// Is makes every NotRunningError an ErrNotRunning.
func (e *NotRunningError) Is(target error) bool { return target == ErrNotRunning }

// ExistsError carries the entity that has the name already.
type ExistsError struct{ Entity Entity }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("entity %s exists already: use it, or spawn another id", e.Entity.URL)
}

// Is makes every ExistsError an ErrExists.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// InvalidError is a value of the caller's that cannot be used.
type InvalidError struct{ Field, Value, Why string }

func (e *InvalidError) Error() string { return fmt.Sprintf("%s %q: %s", e.Field, e.Value, e.Why) }
