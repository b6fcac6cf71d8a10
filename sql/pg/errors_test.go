package pg_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func newPool(t *testing.T, dsn string) pg.Beginner {
	t.Helper()
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: dsn, ApplicationName: "test"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// A holder that does nothing must keep a waiter no longer than the lock time-out, and must itself be ended.
func TestTimeoutsHoldFromTheFirstStatement(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	_, err := database.Pool.Exec(t.Context(), `CREATE TABLE n (n int PRIMARY KEY); INSERT INTO n VALUES (1)`)
	require.NoError(t, err)
	holder, err := newPool(t, database.DSN).Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), `SELECT n FROM n FOR UPDATE`)
	require.NoError(t, err)

	began := time.Now()
	err = pg.InTx(t.Context(), newPool(t, database.DSN), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE n SET n = 2`)
		return err
	})
	require.True(t, pg.IsContention(err), "got %v", err)
	require.False(t, pg.IsUnavailable(err))
	require.WithinDuration(t, began.Add(pg.LockTimeout), time.Now(), pg.LockTimeout)

	require.Eventually(t, func() bool {
		_, err := database.Pool.Exec(t.Context(), `UPDATE n SET n = 3`)
		return err == nil
	}, 2*pg.IdleInTransactionTimeout, 50*time.Millisecond, "the idle holder must be ended by the server")
	_, err = holder.Exec(t.Context(), `SELECT 1`)
	require.True(t, pg.IsUnavailable(err), "got %v", err)
	_ = holder.Rollback(context.WithoutCancel(t.Context()))
}

// A set that is too slow is taken apart: one part may be what makes it slow, and the database is not away.
func TestAStatementThatIsTooSlowIsTriedAgainInParts(t *testing.T) {
	t.Parallel()
	err := pg.InTx(t.Context(), newPool(t, dbtest.New(t).DSN), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = 10; SELECT pg_sleep(10)`)
		return err
	})
	require.True(t, pg.IsContention(err), "got %v", err)
	require.False(t, pg.IsUnavailable(err))
}
