package pg_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func exec(sql string) func(context.Context, pg.Conn) error {
	return func(ctx context.Context, conn pg.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	}
}

func numbers(sql string) func(context.Context, pg.Conn) ([]int, error) {
	return func(ctx context.Context, conn pg.Conn) ([]int, error) {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[int])
	}
}

func newTable(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := dbtest.New(t).Pool
	_, err := pool.Exec(t.Context(), `CREATE TABLE n (n int PRIMARY KEY)`)
	require.NoError(t, err)
	return pool
}

func TestPipelineStatementsSeeEarlierOnes(t *testing.T) {
	t.Parallel()
	pool := newTable(t)
	var p pg.Pipeline
	var before, after []int
	pg.Many(&p, &before, numbers(`SELECT n FROM n`))
	p.Exec(exec(`INSERT INTO n VALUES (1), (2)`))
	pg.Many(&p, &after, numbers(`SELECT n FROM n ORDER BY n`))
	require.NoError(t, p.Run(t.Context(), pool))
	require.Empty(t, before)
	require.Equal(t, []int{1, 2}, after)
}

func TestPipelineIsOneTransaction(t *testing.T) {
	t.Parallel()
	pool := newTable(t)
	var p pg.Pipeline
	p.Exec(exec(`INSERT INTO n VALUES (1)`))
	p.Exec(exec(`INSERT INTO n VALUES (1)`))
	err := p.Run(t.Context(), pool)
	require.Equal(t, "n_pkey", pg.ConstraintName(err))
	rows, err := numbers(`SELECT n FROM n`)(t.Context(), pool)
	require.NoError(t, err)
	require.Empty(t, rows, "the first statement must be undone with the second")
}

func TestPipelineInACallersTransaction(t *testing.T) {
	t.Parallel()
	pool := newTable(t)
	var p pg.Pipeline
	p.Exec(exec(`INSERT INTO n VALUES (1)`))
	wanted := context.Canceled
	err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		if err := p.Run(t.Context(), tx); err != nil {
			return err
		}
		return wanted
	})
	require.ErrorIs(t, err, wanted)
	rows, err := numbers(`SELECT n FROM n`)(t.Context(), pool)
	require.NoError(t, err)
	require.Empty(t, rows)
}

// roundTrips counts the batches and the queries that are sent on their own.
type roundTrips struct{ batches, queries atomic.Int64 }

func (r *roundTrips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	r.queries.Add(1)
	return ctx
}
func (r *roundTrips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (r *roundTrips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	r.batches.Add(1)
	return ctx
}
func (r *roundTrips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (r *roundTrips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func TestPipelineIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	var trips roundTrips
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: database.DSN, ApplicationName: "test", Tracer: &trips})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var p pg.Pipeline
	var got []int
	pg.Many(&p, &got, numbers(`SELECT 1`))
	pg.Many(&p, &got, numbers(`SELECT 2`))
	require.NoError(t, p.Run(t.Context(), pool))
	require.EqualValues(t, 1, trips.batches.Load())
	require.Zero(t, trips.queries.Load())
	require.Equal(t, []int{2}, got)
}
