package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// The rows of a page.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// ErrNotFound means that there is no such claim, entity or runner, nor a trace of one.
var ErrNotFound = errors.New("not found")

// InvalidError is a request with a wrong value.
type InvalidError struct {
	// Field is the parameter, and Why reads on from its name.
	Field, Why string
}

// Error names the field first.
func (e *InvalidError) Error() string { return e.Field + " " + e.Why }

// Options are what a Service needs. Durations left zero take the defaults.
type Options struct {
	Pool *pgxpool.Pool

	SweepInterval time.Duration // how often ended leases are looked for; 1 s
	RideOut       time.Duration // how long a database that is away is not seen by callers; 10 s
}

// Service reads the lifecycle. It may be used by any number of goroutines.
type Service struct {
	Options
	queries *db.Queries
}

// New makes a Service. It starts nothing.
func New(o Options) *Service {
	if o.SweepInterval == 0 {
		o.SweepInterval = time.Second
	}
	if o.RideOut == 0 {
		o.RideOut = 10 * time.Second
	}
	return &Service{Options: o, queries: db.New()}
}

// read runs queries until the database answers, and says of an error what was read.
func (s *Service) read(ctx context.Context, what string, work func(ctx context.Context) error) error {
	if err := pg.RideOut(ctx, s.RideOut, work); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// pageOf is the length of a page. One row more is asked for, which tells whether another page follows.
func pageOf(limit int) int {
	if limit <= 0 {
		return DefaultPage
	}
	return min(limit, MaxPage)
}

const maxFilter = 1024

// checkFilter refuses a value that the database could not compare with.
func checkFilter(field, value string) error {
	switch {
	case len(value) > maxFilter:
		return &InvalidError{Field: field, Why: fmt.Sprintf("is longer than %d bytes", maxFilter)}
	case !utf8.ValidString(value):
		return &InvalidError{Field: field, Why: "is not UTF-8"}
	case strings.ContainsRune(value, 0):
		return &InvalidError{Field: field, Why: "must not contain NUL"}
	}
	return nil
}
