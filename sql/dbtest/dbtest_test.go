package dbtest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/migrations"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestDatabaseIsMigratedAndTheTestsOwn(t *testing.T) {
	one, other := dbtest.New(t), dbtest.New(t)
	require.NoError(t, migrations.Check(t.Context(), one.Pool))

	_, err := one.Pool.Exec(t.Context(), "INSERT INTO wakelatch.secrets (name, value) VALUES ('a', 'b')")
	require.NoError(t, err)
	var count int
	require.NoError(t, other.Pool.QueryRow(t.Context(), "SELECT count(*) FROM wakelatch.secrets").Scan(&count))
	require.Zero(t, count)
}

func TestDatabaseIsDroppedAtTheEnd(t *testing.T) {
	watcher := dbtest.New(t)
	var name string
	t.Run("a test of its own", func(t *testing.T) {
		name = dbtest.New(t).Name
		require.True(t, exists(t, watcher, name))
	})
	require.False(t, exists(t, watcher, name))
}

func exists(t *testing.T, d *dbtest.Database, name string) bool {
	t.Helper()
	var found bool
	require.NoError(t, d.Pool.QueryRow(t.Context(),
		"SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&found))
	return found
}

func TestOwnServerCanBeInterruptedAndResumed(t *testing.T) {
	t.Parallel()
	shared := dbtest.New(t)
	server := dbtest.NewServer(t)
	own := server.New(t)
	_, err := own.Pool.Exec(t.Context(), "INSERT INTO wakelatch.secrets (name, value) VALUES ('a', 'b')")
	require.NoError(t, err)

	require.NoError(t, server.Interrupt(t.Context(), localpg.Immediate))
	require.Error(t, own.Pool.Ping(t.Context()))
	require.NoError(t, shared.Pool.Ping(t.Context()), "another test's server must not be touched")

	require.NoError(t, server.Resume(t.Context()))
	var count int
	require.NoError(t, own.Pool.QueryRow(t.Context(), "SELECT count(*) FROM wakelatch.secrets").Scan(&count))
	require.Equal(t, 1, count)
}

func TestManyDatabasesAtOnce(t *testing.T) {
	t.Parallel()
	for range 16 {
		t.Run("clone", func(t *testing.T) {
			t.Parallel()
			d := dbtest.New(t)
			require.NoError(t, d.Pool.Ping(t.Context()))
			require.True(t, strings.HasPrefix(d.Name, "test_"))
		})
	}
}

func BenchmarkNew(b *testing.B) {
	dbtest.New(b)
	for b.Loop() {
		b.Run("database", func(b *testing.B) { dbtest.New(b) })
	}
}
