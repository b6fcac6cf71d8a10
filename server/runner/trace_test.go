package runner_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// roundTrips counts what goes to the database and keeps the statements of pipelines.
type roundTrips struct {
	queries, batches atomic.Int64
	mu               sync.Mutex
	statements       []statement
}

type statement struct {
	sql  string
	args []any
}

func (r *roundTrips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	r.queries.Add(1)
	return ctx
}

func (r *roundTrips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (r *roundTrips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	r.batches.Add(1)
	return ctx
}

func (r *roundTrips) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, statement{sql: data.SQL, args: data.Args})
}

func (r *roundTrips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// traced is a pool of one connection to the fixture's database.
func (f *fixture) traced(tracer pgx.QueryTracer) *pgxpool.Pool {
	f.t.Helper()
	pool, err := pg.NewPool(f.t.Context(), pg.PoolOptions{
		DSN: f.pool.Config().ConnString(), ApplicationName: "traced", MaxConns: 1, Tracer: tracer,
	})
	require.NoError(f.t, err)
	f.t.Cleanup(pool.Close)
	return pool
}

func TestStatementsStayOnTheirIndexes(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.exec(`INSERT INTO wakelatch.entities (tenant_id, url, type, dispatch_runner_id, created_by, spawn_txid)
		SELECT 'default', '/demo/' || n, 'demo', 'r' || n / 10, 'x', '1' FROM generate_series(1, 20000) n`)
	f.exec(`INSERT INTO wakelatch.entity_dispatch_state
			(tenant_id, entity_url, outstanding_wake_id, outstanding_runner_id, outstanding_since)
		SELECT 'default', '/demo/' || n, 'w', 'r' || n / 10, statement_timestamp() FROM generate_series(1, 20000) n`)
	f.exec(`INSERT INTO wakelatch.consumer_claims
			(tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
		SELECT 'default', 'w' || n, 1, '/demo/' || n, 'demo/' || n || '/main', 'r' || n / 10, 'idle', 0
		FROM generate_series(1, 20000) n`)
	f.exec(`INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at)
		SELECT 'default', 'w' || n, 1, statement_timestamp() FROM generate_series(1, 20000) n`)
	f.exec(`ANALYZE`)

	seen := &roundTrips{}
	s := f.service(f.traced(seen))
	_, err := s.Health(t.Context(), tenant, "r1")
	require.NoError(t, err)
	_, err = s.SetAdminStatus(t.Context(), runner.StatusRequest{Tenant: tenant, ID: "r1", Status: "enabled", Actor: "/principal/user%3Aadmin"})
	require.NoError(t, err)
	require.Len(t, seen.statements, 7)
	for _, statement := range seen.statements {
		for _, node := range f.plan(statement) {
			for _, table := range []string{"entity_dispatch_state", "consumer_claims", "claim_leases", "entities"} {
				require.False(t, strings.Contains(node, "Seq Scan on") && strings.Contains(node, table+" "),
					"%s\n%s", node, statement.sql)
			}
		}
	}
}

func (f *fixture) plan(s statement) []string {
	f.t.Helper()
	rows, err := f.pool.Query(f.t.Context(), "EXPLAIN "+s.sql, s.args...)
	require.NoError(f.t, err)
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		require.NoError(f.t, rows.Scan(&line))
		lines = append(lines, line)
	}
	require.NoError(f.t, rows.Err())
	return lines
}
