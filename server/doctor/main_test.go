package doctor_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/doctor"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const patience = 20 * time.Second

// examine makes every check and returns what one of them found.
func examine(t *testing.T, check string, o doctor.Options) doctor.Finding {
	t.Helper()
	findings, err := doctor.Examine(t.Context(), o)
	require.NoError(t, err)
	i := slices.IndexFunc(findings, func(f doctor.Finding) bool { return f.Check == check })
	require.GreaterOrEqual(t, i, 0, "there is no check %s", check)
	f := findings[i]
	t.Logf("%s: %s: %s %q %q", f.Check, f.Status, f.Summary, f.Rows, f.Commands)
	return f
}

func change(t *testing.T, d *dbtest.Database, sql string) {
	t.Helper()
	_, err := d.Pool.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// node runs a node of an installation until the test ends.
func node(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.PoolSize, o.Logger = 4, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := server.New(o)
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return s
}

// likeANode is a session that looks to the doctor like a node's listener.
func likeANode(t *testing.T, d *dbtest.Database) {
	t.Helper()
	config, err := pgx.ParseConfig(d.DSN)
	require.NoError(t, err)
	config.RuntimeParams["application_name"] = "node-a listener"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
}

// postgres is a server of the test's own, without our schema.
func postgres(t *testing.T, o localpg.Options) string {
	t.Helper()
	s, err := localpg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return s.DSN("postgres")
}
