package inspect_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/inspect"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const tenant = "default"

// rig is a service over rows that the test writes.
type rig struct {
	*inspect.Service
	t    *testing.T
	pool *pgxpool.Pool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	pool := dbtest.New(t).Pool
	return &rig{Service: inspect.New(inspect.Options{Pool: pool, RideOut: time.Second}), t: t, pool: pool}
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	_, err := r.pool.Exec(r.t.Context(), sql, args...)
	require.NoError(r.t, err)
}

// claims writes n ended claims of one entity and runner, a second apart, with a history of two events each.
func (r *rig) claims(entity, runner, status string, first, n int) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, status,
			entity_status, start_seq, claimed_at, released_at, release_cause, released_by, entity_cleared)
		SELECT $1, 'w_' || $3 || '_' || i, i, $2, substr($2, 2) || '/main', $3, $4, 'idle', 0,
			timestamptz '2026-01-01' + i * interval '1 second', timestamptz '2026-01-01' + i * interval '1 second' + interval '1 ms', 'done', 'job', true
		FROM generate_series($5::int, $5::int + $6::int - 1) i`, tenant, entity, runner, status, first, n)
	r.exec(`INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, cause, actor, at)
		SELECT c.tenant_id, c.consumer_id, c.epoch, x.transition, c.entity_url, c.runner_id, x.cause, 'runner:r1', x.at
		FROM wakelatch.consumer_claims c
		CROSS JOIN LATERAL (VALUES ('claimed', NULL, c.claimed_at), (c.status, c.release_cause, c.released_at)) x (transition, cause, at)
		WHERE c.entity_url = $1 AND c.runner_id = $2 AND c.epoch BETWEEN $3::int AND $3::int + $4::int - 1`, entity, runner, first, n)
}
