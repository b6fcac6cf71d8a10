package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Conn is what a generated query runs on; db.DBTX.
type Conn interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Sender sends a batch: a pool, a connection or a transaction.
type Sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Pipeline is several statements in one round trip, each with a snapshot of its own. On a pool or a
// connection it is one transaction: all of it commits or none. Statements cannot see each other's
// results in Go; what a later one needs it reads from the rows.
//
// A step is a call of one generated query. It runs twice: once to note the statement, once to read the
// result, so it must do nothing but call the query and keep what it returns.
type Pipeline struct {
	steps []step
}

type step func(ctx context.Context, conn Conn) error

// Exec adds a step whose query returns no rows.
func (p *Pipeline) Exec(call func(ctx context.Context, conn Conn) error) {
	p.steps = append(p.steps, call)
}

// Many adds a step whose query returns rows, kept in *rows after Run.
func Many[T any](p *Pipeline, rows *[]T, call func(ctx context.Context, conn Conn) ([]T, error)) {
	p.steps = append(p.steps, func(ctx context.Context, conn Conn) error {
		found, err := call(ctx, conn)
		*rows = found
		return err
	})
}

// Run sends every step and reads every result. The first failing statement ends it and, outside a
// transaction of the caller's, undoes all of it.
func (p *Pipeline) Run(ctx context.Context, db Sender) error {
	if len(p.steps) == 0 {
		return nil
	}
	note := &noter{batch: &pgx.Batch{}}
	for _, s := range p.steps {
		before := note.batch.Len()
		if err := s(ctx, note); err != nil && !errors.Is(err, errNoted) {
			return err
		}
		if note.batch.Len() != before+1 {
			return fmt.Errorf("a pipeline step made %d queries, want 1", note.batch.Len()-before)
		}
	}
	results := db.SendBatch(ctx, note.batch)
	read := &reader{results: results}
	for _, s := range p.steps {
		if err := s(ctx, read); err != nil {
			return errors.Join(err, ignoreSame(results.Close(), err))
		}
	}
	if err := results.Close(); err != nil {
		return fmt.Errorf("commit pipeline: %w", errors.Join(ErrCommitUnknown, err))
	}
	return nil
}

func ignoreSame(closing, cause error) error {
	if closing != nil && closing.Error() == cause.Error() {
		return nil
	}
	return closing
}

var errNoted = errors.New("noted")

type noter struct{ batch *pgx.Batch }

func (n *noter) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	n.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (n *noter) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	n.batch.Queue(sql, args...)
	return nil, errNoted
}

func (n *noter) QueryRow(_ context.Context, sql string, args ...any) pgx.Row {
	n.batch.Queue(sql, args...)
	return notedRow{}
}

type notedRow struct{}

func (notedRow) Scan(...any) error { return errNoted }

type reader struct{ results pgx.BatchResults }

func (r *reader) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return r.results.Exec()
}

func (r *reader) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return r.results.Query() //nolint:rowserrcheck // the query that reads the rows asks for it
}

func (r *reader) QueryRow(context.Context, string, ...any) pgx.Row {
	return r.results.QueryRow()
}

// Ords numbers the items of a set from 0, so that a set-based statement can answer in their order. The
// planner knows an array's length; of generate_subscripts it believes a thousand rows and reads whole tables.
func Ords(n int) []int32 {
	ords := make([]int32, n)
	for i := range ords {
		ords[i] = int32(i)
	}
	return ords
}
