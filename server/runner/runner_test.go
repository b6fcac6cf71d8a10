package runner_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	tenant = "default"
	alice  = "/principal/user%3Aalice"
	bob    = "/principal/user%3Abob"
)

// fixture is a service on a database of its own. Rows that other packages write are put there by SQL.
type fixture struct {
	*runner.Service
	t      *testing.T
	pool   *pgxpool.Pool
	nudges atomic.Int64
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, pool: dbtest.New(t).Pool}
	f.Service = f.service(f.pool)
	return f
}

func (f *fixture) service(pool *pgxpool.Pool) *runner.Service {
	return runner.New(runner.Options{
		Pool: pool, Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)), Nudge: func() { f.nudges.Add(1) },
	})
}

func (f *fixture) register(id string) runner.Runner {
	f.t.Helper()
	r, err := f.Register(f.t.Context(), runner.RegisterRequest{Tenant: tenant, ID: id, Owner: alice, Label: "one"})
	require.NoError(f.t, err)
	return r
}

func (f *fixture) heartbeat() runner.Runner {
	f.t.Helper()
	r, err := f.Heartbeat(f.t.Context(), runner.HeartbeatRequest{Tenant: tenant, ID: "r1"})
	require.NoError(f.t, err)
	return r
}

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.pool.Exec(f.t.Context(), sql, args...)
	require.NoError(f.t, err)
}

// entity puts an idle entity there that is dispatched to the runner.
func (f *fixture) entity(tenant, url, runnerID string) {
	f.t.Helper()
	f.exec(`INSERT INTO wakelatch.entities (tenant_id, url, type, dispatch_runner_id, created_by, spawn_txid)
		VALUES ($1, $2, 'demo', $3, $4, '1')`, tenant, url, runnerID, alice)
	f.exec(`INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url) VALUES ($1, $2)`, tenant, url)
	f.exec(`INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type)
		VALUES ($1, substr($2, 2) || '/main', 'main', 'application/json')`, tenant, url)
}

// wake leaves a wake of the entity outstanding, to be appended again in an hour.
func (f *fixture) wake(tenant, url, runnerID string) {
	f.t.Helper()
	f.exec(`UPDATE wakelatch.entity_dispatch_state
		SET generation = 1, outstanding_wake_id = 'w_' || md5($2), outstanding_runner_id = $3,
		    outstanding_since = statement_timestamp(), next_attempt_at = statement_timestamp() + interval '1 hour',
		    last_outside_seq = 10
		WHERE tenant_id = $1 AND entity_url = $2`, tenant, url, runnerID)
}

// claim gives r1 an active claim of the entity, made age ago.
func (f *fixture) claim(url string, age time.Duration) {
	f.t.Helper()
	consumer := "w_" + url[len("/demo/"):]
	f.exec(`INSERT INTO wakelatch.consumer_claims
			(tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq, claimed_at)
		VALUES ($1, $2, 1, $3, substr($3, 2) || '/main', 'r1', 'idle', 0, statement_timestamp() - $4::interval)`,
		tenant, consumer, url, age)
	f.exec(`INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at)
		VALUES ($1, $2, 1, statement_timestamp() + interval '30 seconds')`, tenant, consumer)
	f.exec(`UPDATE wakelatch.entity_dispatch_state
		SET generation = 1, active_consumer_id = $2, active_runner_id = 'r1', active_epoch = 1, active_claimed_at = statement_timestamp()
		WHERE tenant_id = $1 AND entity_url = $3`, tenant, consumer, url)
	f.exec(`UPDATE wakelatch.streams SET claim_consumer_id = $2, claim_epoch = 1
		WHERE tenant_id = $1 AND path = substr($3, 2) || '/main'`, tenant, consumer, url)
}

// leaseEnded makes r1's liveness lease end in the past, with the registration older than that.
func (f *fixture) leaseEnded() {
	f.t.Helper()
	f.exec(`UPDATE wakelatch.runner_diagnostics SET lease_expires_at = statement_timestamp() - interval '12 seconds'
		WHERE tenant_id = $1 AND runner_id = 'r1'`, tenant)
	f.exec(`UPDATE wakelatch.runners SET updated_at = statement_timestamp() - interval '1 hour'
		WHERE tenant_id = $1 AND id = 'r1'`, tenant)
}

// due lists the entities whose next attempt is now.
func (f *fixture) due() []string {
	f.t.Helper()
	rows, err := f.pool.Query(f.t.Context(), `SELECT tenant_id || ' ' || entity_url
		FROM wakelatch.entity_dispatch_state WHERE next_attempt_at <= statement_timestamp() ORDER BY 1`)
	require.NoError(f.t, err)
	defer rows.Close()
	urls := []string{}
	for rows.Next() {
		var url string
		require.NoError(f.t, rows.Scan(&url))
		urls = append(urls, url)
	}
	require.NoError(f.t, rows.Err())
	return urls
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
