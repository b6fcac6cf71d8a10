package doctor_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/doctor"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func TestAHealthyInstallationHasNothingToMend(t *testing.T) {
	t.Parallel()
	dsn := postgres(t, localpg.Options{Durable: true})
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: dsn})
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, migrations.Up(t.Context(), pool))
	s := node(t, server.Options{DatabaseURL: dsn, TokenKeys: [][]byte{bytes.Repeat([]byte("k"), 32)}})
	var findings []doctor.Finding
	require.Eventually(t, func() bool { // until the node leads
		findings, err = doctor.Examine(t.Context(), doctor.Options{DatabaseURL: dsn, URL: s.URL(), NodeConnections: 11})
		require.NoError(t, err)
		for _, f := range findings {
			if f.Status != doctor.OK {
				t.Logf("%s: %s: %s", f.Check, f.Status, f.Summary)
				return false
			}
		}
		return true
	}, patience, 100*time.Millisecond)
	require.Len(t, findings, 16)
	require.Contains(t, findings[0].Summary, "1 node connected")
}

func TestWithoutADatabaseNothingElseIsLookedAt(t *testing.T) {
	t.Parallel()
	findings, err := doctor.Examine(t.Context(), doctor.Options{DatabaseURL: "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable"}) //nolint:gosec // nobody's password
	require.NoError(t, err)
	require.Equal(t, doctor.Fail, findings[0].Status)
	require.Contains(t, findings[0].Summary, "connection refused")
	require.NotContains(t, findings[0].Summary, "hunter2")
	for _, f := range findings[1:] {
		require.Equal(t, doctor.Skipped, f.Status, f.Check)
	}
}

func TestAReadOnlyDatabaseIsNoPlaceForNodes(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	change(t, d, `ALTER DATABASE `+d.Name+` SET default_transaction_read_only = on`)
	f := examine(t, "database", doctor.Options{DatabaseURL: d.DSN})
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "read_only")
}

func TestASchemaThatIsBehind(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	require.Equal(t, doctor.OK, examine(t, "schema", doctor.Options{DatabaseURL: d.DSN}).Status)
	change(t, d, `DELETE FROM public.wakelatch_schema_version WHERE version_id = 5`)
	f := examine(t, "schema", doctor.Options{DatabaseURL: d.DSN})
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "00005")
	require.Equal(t, []string{"wakelatch migrate up"}, f.Commands)
	require.Equal(t, doctor.Skipped, examine(t, "consistency", doctor.Options{DatabaseURL: d.DSN}).Status)
	require.Equal(t, doctor.OK, examine(t, "listener", doctor.Options{DatabaseURL: d.DSN}).Status, "it needs no schema")
}

func TestANodeThatDoesNotServe(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	require.Equal(t, doctor.Skipped, examine(t, "node", doctor.Options{DatabaseURL: d.DSN}).Status)
	f := examine(t, "node", doctor.Options{DatabaseURL: d.DSN, URL: "http://127.0.0.1:1"})
	require.Equal(t, doctor.Fail, f.Status)
	draining := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this node is draining", http.StatusServiceUnavailable)
	}))
	defer draining.Close()
	f = examine(t, "node", doctor.Options{DatabaseURL: d.DSN, URL: draining.URL})
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "answers 503: this node is draining")
}

func TestAClockThatIsFarAway(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	require.Equal(t, doctor.OK, examine(t, "clock", doctor.Options{DatabaseURL: d.DSN}).Status)
	for _, ahead := range []time.Duration{time.Hour, -time.Minute} {
		f := examine(t, "clock", doctor.Options{DatabaseURL: d.DSN, Clock: func() time.Time { return time.Now().Add(ahead) }})
		require.Equal(t, doctor.Warn, f.Status)
	}
}

func TestADatabaseThatForgets(t *testing.T) {
	t.Parallel()
	f := examine(t, "durability", doctor.Options{DatabaseURL: dbtest.New(t).DSN})
	require.Equal(t, doctor.Fail, f.Status, "test servers do not write through")
	require.Contains(t, f.Rows, "fsync is off")
	require.NotContains(t, f.Rows, "synchronous_commit is off")
}

func TestATransactionThatStaysOpen(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	o := doctor.Options{DatabaseURL: d.DSN, OldTransaction: time.Millisecond}
	tx, err := d.Pool.Begin(t.Context())
	require.NoError(t, err)
	var pid int
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	f := examine(t, "transactions", o)
	require.Equal(t, doctor.Warn, f.Status)
	require.Len(t, f.Rows, 1)
	require.Contains(t, f.Rows[0], "idle in transaction")
	command := f.Commands[0]
	prefix, suffix := `psql "$WAKELATCH_DATABASE_URL" -c '`, `'`
	require.True(t, len(command) > len(prefix) && command[:len(prefix)] == prefix)
	change(t, d, command[len(prefix):len(command)-len(suffix)])
	require.Eventually(t, func() bool { return examine(t, "transactions", o).Status == doctor.OK }, patience, 10*time.Millisecond)
	require.Error(t, tx.Rollback(t.Context()))
}

func TestATokenKeyInTheDatabase(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	require.Equal(t, doctor.OK, examine(t, "token key", doctor.Options{DatabaseURL: d.DSN}).Status)
	node(t, server.Options{DatabaseURL: d.DSN})
	f := examine(t, "token key", doctor.Options{DatabaseURL: d.DSN})
	require.Equal(t, doctor.Warn, f.Status)
	require.Contains(t, f.Summary, "WAKELATCH_TOKEN_KEY")
}

func TestConnectionsThatRunOut(t *testing.T) {
	t.Parallel()
	dsn := postgres(t, localpg.Options{Settings: map[string]string{"max_connections": "13", "superuser_reserved_connections": "3"}})
	o := doctor.Options{DatabaseURL: dsn, NodeConnections: 9}
	require.Equal(t, doctor.OK, examine(t, "connections", o).Status)
	open := func(name string) *pgx.Conn {
		config, err := pgx.ParseConfig(dsn)
		require.NoError(t, err)
		config.RuntimeParams["application_name"] = name
		conn, err := pgx.ConnectConfig(t.Context(), config)
		require.NoError(t, err)
		return conn
	}
	conns := []*pgx.Conn{open("node-a listener"), open("node-b listener")}
	f := examine(t, "connections", o)
	require.Equal(t, doctor.Warn, f.Status)
	require.Contains(t, f.Summary, "2 of them by 2 nodes; they may open 9 each")
	for range 8 {
		conns = append(conns, open("node-a"))
	}
	f = examine(t, "connections", o)
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "of 10 in use, 10 of them by 2 nodes")
	for _, c := range conns {
		require.NoError(t, c.Close(t.Context()))
	}
}
