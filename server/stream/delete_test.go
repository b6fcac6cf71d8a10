package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// fill makes a stream of tiny appends by many producers.
func (n *node) fill(path string, appends int) {
	n.t.Helper()
	for _, sql := range []string{
		`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
			SELECT 'default', $1, 10 * i, 'xxxxxxxxxx' FROM generate_series(1, $2) i`,
		`INSERT INTO wakelatch.stream_producers (tenant_id, stream_path, producer_id, epoch, last_seq, end_offset)
			SELECT 'default', $1, 'p' || i, 0, 0, 10 * i FROM generate_series(1, $2) i`,
		`UPDATE wakelatch.streams SET tail = 10 * $2 WHERE path = $1`,
	} {
		_, err := n.pool.Exec(n.t.Context(), sql, path, appends)
		require.NoError(n.t, err)
	}
}

// deletions notes how many rows each statement takes.
type deletions struct{ rows []int64 }

func (d *deletions) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (d *deletions) TraceQueryEnd(_ context.Context, _ *pgx.Conn, end pgx.TraceQueryEndData) {
	if end.CommandTag.Delete() {
		d.rows = append(d.rows, end.CommandTag.RowsAffected())
	}
}

func TestALargeStreamIsDeletedInBatches(t *testing.T) {
	t.Parallel()
	n := open(t)
	n.create("large", "text/plain")
	n.create("other", "text/plain")
	const appends = 3*stream.DeleteRows + 1
	n.fill("large", appends)
	n.fill("other", 3)
	seen := &deletions{}
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: n.pool.Config().ConnString(), MaxConns: 1, Tracer: seen})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, start(t, pool).Delete(t.Context(), key("large")))
	taken := int64(0)
	for _, rows := range seen.rows {
		require.LessOrEqual(t, rows, int64(stream.DeleteRows))
		taken += rows
	}
	require.EqualValues(t, 2*appends, taken)
	require.ErrorIs(t, n.Delete(t.Context(), key("large")), stream.ErrNotFound)
	var left int
	require.NoError(t, n.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM wakelatch.stream_messages)
		+ (SELECT count(*) FROM wakelatch.stream_producers) + (SELECT count(*) FROM wakelatch.streams)`).Scan(&left))
	require.Equal(t, 3+3+1, left, "the other stream is as it was")
}

// A deletion that goes on after another one has finished it must not touch a stream that was made at the path since.
func TestAStreamMadeAnewIsNotEmptied(t *testing.T) {
	t.Parallel()
	n := open(t)
	n.create("notes", "text/plain")
	old, err := n.Head(t.Context(), key("notes"))
	require.NoError(t, err)
	require.NoError(t, n.Delete(t.Context(), key("notes")))
	n.create("notes", "text/plain")
	n.fill("notes", 5)
	_, err = n.pool.Exec(t.Context(), `UPDATE wakelatch.streams SET closed_at = statement_timestamp()`)
	require.NoError(t, err)
	require.NoError(t, stream.Empty(t.Context(), n.pool, time.Minute, key("notes"), old.Generation))
	page, err := n.Read(t.Context(), stream.ReadRequest{Key: key("notes"), From: stream.Beginning})
	require.NoError(t, err)
	require.Len(t, page.Appends, 5)
}

// What counts is bytes too: a few large appends are as much work as many small ones.
func TestABatchIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	n := open(t)
	n.create("large", "text/plain")
	_, err := n.pool.Exec(t.Context(), `INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
		SELECT 'default', 'large', $1::bigint * i, '' FROM generate_series(1, 3) i`, int64(stream.DeleteBytes))
	require.NoError(t, err)
	_, err = n.pool.Exec(t.Context(), `UPDATE wakelatch.streams SET tail = 3 * $1::bigint`, int64(stream.DeleteBytes))
	require.NoError(t, err)
	seen := &deletions{}
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: n.pool.Config().ConnString(), MaxConns: 1, Tracer: seen})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, start(t, pool).Delete(t.Context(), key("large")))
	require.Equal(t, []int64{2, 1, 0, 0}, seen.rows)
}
