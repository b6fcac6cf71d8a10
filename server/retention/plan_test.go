package retention_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// recorder keeps every statement that ran with the arguments of its last run, how often it ran, and the most
// rows that one run touched.
type recorder struct {
	mu         sync.Mutex
	statements map[string][]any
	runs       map[string]int
	rows       map[string]int64
}

type statementKey struct{}

func nameOf(sql string) string { return strings.Fields(strings.TrimPrefix(sql, "-- name: "))[0] }

func (r *recorder) keep(sql string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.Contains(sql, "wakelatch.") {
		return
	}
	if r.runs == nil {
		r.runs, r.rows = map[string]int{}, map[string]int64{}
	}
	r.statements[sql] = args
	r.runs[nameOf(sql)]++
}

func (r *recorder) ended(sql string, tag pgconn.CommandTag) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(sql, "wakelatch.") {
		r.rows[nameOf(sql)] = max(r.rows[nameOf(sql)], tag.RowsAffected())
	}
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.keep(d.SQL, d.Args)
	return context.WithValue(ctx, statementKey{}, d.SQL)
}

func (r *recorder) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	if sql, ok := ctx.Value(statementKey{}).(string); ok {
		r.ended(sql, d.CommandTag)
	}
}

func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (r *recorder) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	r.keep(d.SQL, d.Args)
	r.ended(d.SQL, d.CommandTag)
}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// crowd is a database of which most is young.
const crowd = `
INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, status, entity_status,
    start_seq, released_at, release_cause, released_by, entity_cleared)
SELECT 'default', 'w' || n, 1, '/demo/e' || n, 'demo/e' || n || '/main', 'r1', 'released', 'idle', 0,
    statement_timestamp() - n * interval '21 seconds', 'done', 'job', true FROM generate_series(1, 30000) n;
INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, actor)
SELECT 'default', 'w' || n, 1, t, '/demo/e' || n, 'r1', 'a' FROM generate_series(1, 30000) n, unnest(ARRAY['claimed', 'released']) t;
INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, actor, at)
SELECT 'default', 'a' || n, 'spawned', '/demo/e' || n, 'a', statement_timestamp() - n * interval '27 seconds' FROM generate_series(1, 100000) n;
INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, generation)
SELECT 'default', '/demo/e' || n, 7 FROM generate_series(1, 20000) n;
INSERT INTO wakelatch.runner_diagnostics (tenant_id, runner_id, wake_stream_offset)
SELECT 'default', 'r' || n, '0000000000000500' FROM generate_series(1, 5000) n;
INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, created_at)
SELECT 'default', 'runners/r' || r || '/wake', n * 10, convert_to('{"stream":"demo/e' || n || '/main","generation":7}', 'UTF8'),
    statement_timestamp() - interval '1 day' FROM generate_series(1, 300) r, generate_series(1, 400) n;
ANALYZE;`

func TestStatementsStayOnTheirIndexes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(crowd)
	r.turn()
	require.Equal(t, 300*50, r.removed("stream_messages"))
	// Plans are judged on the rows as they were.
	r.exec("TRUNCATE wakelatch.consumer_claims, wakelatch.claim_events, wakelatch.actions, wakelatch.entity_dispatch_state, " +
		"wakelatch.runner_diagnostics, wakelatch.stream_messages")
	r.exec(crowd)
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	require.Len(t, r.seen.runs, 6)
	for sql, args := range r.seen.statements {
		var plan []byte
		require.NoError(t, r.db.Pool.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+sql, args...).Scan(&plan))
		var nodes []struct {
			Plan planNode `json:"Plan"`
		}
		require.NoError(t, json.Unmarshal(plan, &nodes))
		nodes[0].Plan.walk(func(n planNode) {
			require.NotEqual(t, "Seq Scan", n.NodeType, "%s reads the whole table %s", nameOf(sql), n.Relation)
		})
	}
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
