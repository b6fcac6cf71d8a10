package stream_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/pg"
)

// trips notes every statement and counts the round trips that carried them.
type trips struct {
	mu      sync.Mutex
	batches int
	singles int
	sent    []statement
}

type statement struct {
	sql  string
	args []any
}

func (t *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.singles++
	t.sent = append(t.sent, statement{d.SQL, d.Args})
	return ctx
}

func (t *trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (t *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches++
	for _, q := range d.Batch.QueuedQueries {
		t.sent = append(t.sent, statement{q.SQL, q.Arguments})
	}
	return ctx
}

func (t *trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (t *trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (t *trips) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.singles++
	return ctx
}

func (t *trips) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

func (t *trips) take() (batches, singles int, sent []statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	batches, singles, sent = t.batches, t.singles, t.sent
	t.batches, t.singles, t.sent = 0, 0, nil
	return batches, singles, sent
}

// traced is a pool of one connection whose statements are prepared after their first use.
func traced(t *testing.T, dsn string) (*pgxpool.Pool, *trips) {
	t.Helper()
	tracer := &trips{}
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: dsn, ApplicationName: "traced", MaxConns: 1, Tracer: tracer})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool, tracer
}
