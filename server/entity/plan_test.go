package entity_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// recorder keeps every statement that ran, once, with the arguments of its last run.
type recorder struct {
	mu         sync.Mutex
	statements map[string][]any
}

func (r *recorder) keep(sql string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(sql, "wakelatch.") {
		r.statements[sql] = args
	}
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.keep(d.SQL, d.Args)
	return ctx
}
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (r *recorder) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	r.keep(d.SQL, d.Args)
}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// crowd is a database with a past: many entities, released claims, messages and some active claims.
const crowd = `
INSERT INTO wakelatch.entities (tenant_id, url, type, dispatch_runner_id, created_by, spawn_txid)
SELECT 'default', '/demo/e' || n, 'demo', 'r1', 'p', 't' FROM generate_series(1, 20000) n;
INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, generation)
SELECT 'default', '/demo/e' || n, 3 FROM generate_series(1, 20000) n;
INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type)
SELECT 'default', 'demo/e' || n || '/main', 'main', 'application/json' FROM generate_series(1, 20000) n;
INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, status, entity_status,
    start_seq, released_at, release_cause, released_by, entity_cleared)
SELECT 'default', 'w' || n, e, '/demo/e' || n, 'demo/e' || n || '/main', 'r1', 'released', 'idle', 0,
    statement_timestamp() - interval '1 day', 'done', 'job', true
FROM generate_series(1, 20000) n, generate_series(1, 3) e;
INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
SELECT 'default', 'demo/e' || n || '/main', m * 10, '{}' FROM generate_series(1, 2000) n, generate_series(1, 20) m;
INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, actor)
SELECT 'default', 'w' || n, 1, 'claimed', '/demo/e' || n, 'r1', 'a' FROM generate_series(1, 20000) n;
INSERT INTO wakelatch.entity_types (tenant_id, name) SELECT 'default', 't' || n FROM generate_series(1, 5000) n;
INSERT INTO wakelatch.runners (tenant_id, id, owner_principal, label, kind, wake_stream, updated_at)
SELECT 'default', 'x' || n, 'p', 'l', 'k', 'runners/x' || n || '/wake', statement_timestamp() - interval '1 day' FROM generate_series(1, 5000) n;
ANALYZE;`

func TestHotStatementsStayOnTheirIndexes(t *testing.T) {
	t.Parallel()
	seen := &recorder{statements: map[string][]any{}}
	d := newDomain(t, func(o *claim.Options) {
		pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: o.Pool.Config().ConnString(), ApplicationName: "traced", Tracer: seen})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		o.Pool = pool
	})
	_, err := d.db.Pool.Exec(t.Context(), crowd)
	require.NoError(t, err)
	d.spawn(`{"n":1}`)
	n, err := d.claim(1)
	require.NoError(t, err)
	key := claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch}
	_, err = d.claims.Confirm(t.Context(), key)
	require.NoError(t, err)
	_, err = d.claims.Heartbeat(t.Context(), key)
	require.NoError(t, err)
	require.NoError(t, d.claims.RenewOnRead(t.Context(), tenant, main, "r1"))
	d.done(n, 0)
	d.release(n)
	require.NoError(t, d.claims.SweepOnce(t.Context()))
	require.NoError(t, d.claims.NewReconciler().Reconcile(t.Context()))

	seen.mu.Lock()
	defer seen.mu.Unlock()
	require.Greater(t, len(seen.statements), 15)
	for sql, args := range seen.statements {
		name := strings.Fields(strings.TrimPrefix(sql, "-- name: "))[0]
		for _, table := range scanned(t, d, sql, args) {
			t.Errorf("%s reads the whole table %s", name, table)
		}
	}
}

// wholeOnPurpose are tables that are read whole: one holds one row, the other as many narrow rows as there
// are active claims, and has no index on what a heartbeat changes so that heartbeats stay HOT updates.
func wholeOnPurpose(table string) bool { return table == "sweep_state" || table == "claim_leases" }

func scanned(t *testing.T, d *domain, sql string, args []any) []string {
	t.Helper()
	tx, err := d.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	var plan []byte
	require.NoError(t, tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+sql, args...).Scan(&plan))
	var nodes []struct {
		Plan planNode `json:"Plan"`
	}
	require.NoError(t, json.Unmarshal(plan, &nodes))
	var tables []string
	nodes[0].Plan.walk(func(n planNode) {
		if n.NodeType == "Seq Scan" && !wholeOnPurpose(n.Relation) {
			tables = append(tables, n.Relation)
		}
	})
	return tables
}

type planNode struct {
	NodeType string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Plans    []planNode `json:"Plans"`
}

func (n planNode) walk(visit func(planNode)) {
	visit(n)
	for _, child := range n.Plans {
		child.walk(visit)
	}
}
