package migrations_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// empty is a database without any of our schema.
func empty(t *testing.T) *pgxpool.Pool {
	t.Helper()
	database := dbtest.New(t)
	name := "bare_" + database.Name
	_, err := database.Pool.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0")
	require.NoError(t, err)
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{
		DSN: strings.Replace(database.DSN, "/"+database.Name, "/"+name, 1), ApplicationName: "test", MaxConns: 4,
	})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func tables(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`).Scan(&n))
	return n
}

func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	list, err := migrations.List(t.Context(), pool)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, m := range list {
		require.False(t, m.Applied, m.Name)
	}
	require.ErrorIs(t, migrations.Check(t.Context(), pool), migrations.ErrPending)
	require.ErrorContains(t, migrations.Check(t.Context(), pool), "wakelatch migrate up")
	require.Zero(t, tables(t, pool))
}

func TestUpIsCompleteAndRepeatable(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.NoError(t, migrations.Check(t.Context(), pool))
	made := tables(t, pool)
	require.NoError(t, migrations.Up(t.Context(), pool))
	require.Equal(t, made, tables(t, pool))
	var river int
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT count(*) FROM pg_tables WHERE tablename = 'river_job' AND schemaname = 'public'`).Scan(&river))
	require.Equal(t, 1, river, "River's tables are where they are looked for, whatever the role's name")
}

func TestNodesThatMigrateTogether(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = migrations.Up(t.Context(), pool) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, migrations.Check(t.Context(), pool))
}
