package retention_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/retention"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// The ages of the tests.
const (
	keepClaims  = 7 * 24 * time.Hour
	keepHistory = 30 * 24 * time.Hour
	keepWakes   = time.Hour
)

// rig is the retention of one node on a database of the test's own.
type rig struct {
	t        *testing.T
	db       *dbtest.Database
	seen     *recorder
	registry *prometheus.Registry
	*retention.Service
}

func newRig(t *testing.T, changes ...func(*retention.Options)) *rig {
	t.Helper()
	return rigOn(t, dbtest.New(t), changes...)
}

func rigOn(t *testing.T, database *dbtest.Database, changes ...func(*retention.Options)) *rig {
	t.Helper()
	r := &rig{t: t, db: database, seen: &recorder{statements: map[string][]any{}}, registry: prometheus.NewRegistry()}
	o := retention.Options{
		Pool: r.pool(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: r.registry,
		Claims: keepClaims, History: keepHistory, Wakes: keepWakes,
	}
	for _, change := range changes {
		change(&o)
	}
	r.Service = retention.New(o)
	return r
}

// pool is one whose statements are seen.
func (r *rig) pool() *pgxpool.Pool {
	r.t.Helper()
	pool, err := pg.NewPool(r.t.Context(), pg.PoolOptions{DSN: r.db.DSN, ApplicationName: "retention", Tracer: r.seen})
	require.NoError(r.t, err)
	r.t.Cleanup(pool.Close)
	return pool
}

func (r *rig) turn() {
	r.t.Helper()
	require.NoError(r.t, r.Turn(r.t.Context()))
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	_, err := r.db.Pool.Exec(r.t.Context(), sql, args...)
	require.NoError(r.t, err)
}

func value[T any](r *rig, sql string, args ...any) T {
	r.t.Helper()
	var v T
	require.NoError(r.t, r.db.Pool.QueryRow(r.t.Context(), sql, args...).Scan(&v))
	return v
}

// removed is what the service says it removed of a table.
func (r *rig) removed(table string) int {
	r.t.Helper()
	families, err := r.registry.Gather()
	require.NoError(r.t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "wakelatch_retention_removed_total" && m.GetLabel()[0].GetValue() == table {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	require.FailNow(r.t, "no such table", table)
	return 0
}

// ended makes n claims of as many entities that ended this long ago, each with all the events a claim can have.
func (r *rig) ended(prefix string, n int, ago time.Duration) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, status,
			entity_status, start_seq, claimed_at, released_at, release_cause, released_by, entity_cleared)
		SELECT 'default', $1 || n, 3, '/demo/' || $1 || n, 'demo/' || $1 || n || '/main', 'r1', 'released',
			'idle', 0, statement_timestamp() - $3::interval * 2, statement_timestamp() - $3::interval, 'done', 'job', true
		FROM generate_series(1, $2::integer) n`, prefix, n, ago)
	r.events(prefix, n)
}

// active makes n claims that nobody ended, from long ago.
func (r *rig) active(prefix string, n int) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id,
			entity_status, start_seq, claimed_at)
		SELECT 'default', $1 || n, 3, '/demo/' || $1 || n, 'demo/' || $1 || n || '/main', 'r1', 'idle', 0,
			statement_timestamp() - interval '1 year'
		FROM generate_series(1, $2::integer) n`, prefix, n)
	r.events(prefix, n)
}

func (r *rig) events(prefix string, n int) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, actor, at)
		SELECT 'default', $1 || n, 3, t, '/demo/' || $1 || n, 'r1', 'runner:r1', statement_timestamp() - interval '1 year'
		FROM generate_series(1, $2::integer) n, unnest(ARRAY['claimed', 'confirmed', 'done', 'released', 'done_late']) t`, prefix, n)
}

func (r *rig) actions(prefix string, n int, ago time.Duration) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, actor, at)
		SELECT 'default', $1 || n, 'spawned', '/demo/' || $1 || n, 'user:alice', statement_timestamp() - $3::interval
		FROM generate_series(1, $2::integer) n`, prefix, n, ago)
}

// reader makes a runner that has reported this offset; "" is none.
func (r *rig) reader(id, offset string) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.runners (tenant_id, id, owner_principal, label, kind, wake_stream)
		VALUES ('default', $1, 'user:alice', 'l', 'local', 'runners/' || $1 || '/wake')`, id)
	r.exec(`INSERT INTO wakelatch.runner_diagnostics (tenant_id, runner_id, wake_stream_offset)
		VALUES ('default', $1, NULLIF($2, ''))`, id, offset)
	r.exec(`INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type)
		VALUES ('default', 'runners/' || $1 || '/wake', 'wake', 'application/json')`, id)
}

// wakes appends n events of ten bytes' offset each, of generation 7 of the entities e1 to en.
func (r *rig) wakes(id string, n int, ago time.Duration) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, created_at)
		SELECT s.tenant_id, s.path, s.tail + n * 10,
			convert_to('{"type":"wake","stream":"demo/e' || n || '/main","generation":7}', 'UTF8'), statement_timestamp() - $3::interval
		FROM wakelatch.streams s, generate_series(1, $2::integer) n WHERE s.path = 'runners/' || $1 || '/wake'`, id, n, ago)
	r.exec(`UPDATE wakelatch.streams SET tail = tail + 10 * $2::bigint WHERE path = 'runners/' || $1 || '/wake'`, id, n)
}

// kept are the offsets of the events of a runner's wake stream.
func (r *rig) kept(id string) []int64 {
	r.t.Helper()
	return value[[]int64](r, `SELECT COALESCE(array_agg(end_offset ORDER BY end_offset), '{}') FROM wakelatch.stream_messages
		WHERE stream_path = 'runners/' || $1 || '/wake'`, id)
}
