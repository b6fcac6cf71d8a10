package localpg_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

func TestTemporaryServer(t *testing.T) {
	t.Parallel()
	s, err := localpg.Start(t.Context(), localpg.Options{Settings: map[string]string{"max_connections": "37", "port": "1"}})
	require.NoError(t, err)
	conn := connect(t, s.DSN("postgres"))
	for setting, want := range map[string]string{ //nolint:gosec // settings, no secrets
		"server_encoding":     "UTF8",
		"lc_collate":          "C",
		"listen_addresses":    "127.0.0.1",
		"fsync":               "off",
		"max_connections":     "37",
		"port":                strconv.Itoa(s.Port()),
		"TimeZone":            "UTC",
		"data_directory":      filepath.Join(s.DataDir(), "postgres"),
		"password_encryption": "scram-sha-256",
	} {
		if setting == "lc_collate" && s.Version() >= 16 {
			continue // It is a property of each database from then on.
		}
		require.Equal(t, want, show(t, conn, setting), setting)
	}
	var collation string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT datcollate FROM pg_database WHERE datname = 'template1'").Scan(&collation))
	require.Equal(t, "C", collation)

	socket := show(t, conn, "unix_socket_directories")
	require.Less(t, len(socket), 40)
	require.DirExists(t, socket)

	stop(t, s)
	stop(t, s) // A second call does nothing.
	require.NoDirExists(t, s.DataDir())
	require.NoDirExists(t, socket)
	require.Error(t, s.Resume(t.Context()))
}

func TestPasswordIsNeeded(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{})
	config, err := pgx.ParseConfig(s.DSN("postgres"))
	require.NoError(t, err)
	socket := show(t, connect(t, s.DSN("postgres")), "unix_socket_directories")
	config.Password = "guessed"
	for _, host := range []string{"127.0.0.1", socket} {
		config.Host = host
		_, err = pgx.ConnectConfig(t.Context(), config)
		require.Error(t, err)
	}
}

func TestDurableServerKeepsItsDataItsPortAndItsPassword(t *testing.T) {
	t.Parallel()
	options := localpg.Options{DataDir: openFolder(t), Durable: true}
	// What an initdb that was cut short leaves is not in the way.
	require.NoError(t, os.MkdirAll(filepath.Join(options.DataDir, "postgres.new", "base"), 0o700))
	s, err := localpg.Start(t.Context(), options)
	require.NoError(t, err)
	conn := connect(t, s.DSN("postgres"))
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		require.Equal(t, "on", show(t, conn, setting), setting)
	}
	execute(t, s.DSN("postgres"), "CREATE TABLE kept ()")
	stop(t, s)

	again, err := localpg.Start(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, s.DSN("postgres"), again.DSN("postgres"))
	execute(t, again.DSN("postgres"), "SELECT FROM kept")
	stop(t, again)

	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:"+strconv.Itoa(again.Port()))
	require.NoError(t, err)
	defer taken.Close()
	elsewhere := start(t, options)
	require.NotEqual(t, again.Port(), elsewhere.Port())
	execute(t, elsewhere.DSN("postgres"), "SELECT FROM kept")
}

func TestOutage(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{})
	execute(t, s.DSN("postgres"), "CREATE TABLE kept ()")
	for _, mode := range []localpg.Mode{localpg.Fast, localpg.Immediate} {
		before := s.PID()
		conn := connect(t, s.DSN("postgres"))
		require.NoError(t, s.Interrupt(t.Context(), mode))
		require.NoError(t, s.Interrupt(t.Context(), mode), "there is nothing left to interrupt")
		require.Error(t, conn.Ping(t.Context()))
		_, err := pgx.Connect(t.Context(), s.DSN("postgres"))
		require.Error(t, err)
		require.Zero(t, s.PID())

		require.NoError(t, s.Resume(t.Context()))
		require.NoError(t, s.Resume(t.Context()), "it runs already")
		require.NotEqual(t, before, s.PID())
		execute(t, s.DSN("postgres"), "SELECT FROM kept")
	}
}

func TestStopOfAnInterruptedServer(t *testing.T) {
	t.Parallel()
	s, err := localpg.Start(t.Context(), localpg.Options{})
	require.NoError(t, err)
	require.NoError(t, s.Interrupt(t.Context(), localpg.Fast))
	stop(t, s)
	require.NoDirExists(t, s.DataDir())
}

func TestStopInAHurry(t *testing.T) {
	t.Parallel()
	s, err := localpg.Start(t.Context(), localpg.Options{DataDir: openFolder(t)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Stop(ctx) // Whether it says so depends on who is quicker.
	_, err = pgx.Connect(t.Context(), s.DSN("postgres"))
	require.Error(t, err)
	again := start(t, localpg.Options{DataDir: s.DataDir()})
	execute(t, again.DSN("postgres"), "SELECT 1")
}

func TestAStartThatFails(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	_, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir, Settings: map[string]string{"no_such_setting": "1"}})
	require.ErrorContains(t, err, "no_such_setting", "the reason is in the server's log")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = localpg.Start(ctx, localpg.Options{DataDir: dir})
	require.ErrorIs(t, err, context.Canceled)

	start(t, localpg.Options{DataDir: dir})
}

func BenchmarkColdStart(b *testing.B) {
	for b.Loop() {
		s, err := localpg.Start(b.Context(), localpg.Options{})
		require.NoError(b, err)
		require.NoError(b, s.Stop(b.Context()))
	}
}
