package lifecycle_test

import (
	"context"

	"github.com/stretchr/testify/require"
)

// holdDispatch holds the dispatch row of the entity one until free is called: nothing claims, releases or arms meanwhile.
func (c *cluster) holdDispatch() (free func()) {
	c.t.Helper()
	held, err := c.pool.Begin(c.t.Context())
	require.NoError(c.t, err)
	_, err = held.Exec(c.t.Context(), `SELECT 1 FROM wakelatch.entity_dispatch_state WHERE entity_url = '/demo/one' FOR UPDATE`)
	require.NoError(c.t, err)
	return func() { _ = held.Rollback(context.WithoutCancel(c.t.Context())) }
}

// holdCommit makes every release wait, with all its statements done, until free is called. The wait is the
// database's, so whoever is frozen in it finds the transaction open and nobody there to end it.
func (c *cluster) holdCommit() (free func()) {
	c.t.Helper()
	c.exec(`CREATE FUNCTION public.hold_commit() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
		'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'`)
	c.exec(`CREATE TRIGGER hold_commit BEFORE UPDATE ON public.river_job FOR EACH ROW
		WHEN (NEW.state = 'completed') EXECUTE FUNCTION public.hold_commit()`)
	held, err := c.pool.Begin(c.t.Context())
	require.NoError(c.t, err)
	_, err = held.Exec(c.t.Context(), `SELECT pg_advisory_xact_lock(1)`)
	require.NoError(c.t, err)
	return func() { _ = held.Rollback(context.WithoutCancel(c.t.Context())) }
}

// blocked waits until n statements that contain these words wait for a lock.
func (c *cluster) blocked(n int, words string) {
	c.t.Helper()
	c.eventually(func() bool {
		return value[int](c, `SELECT count(*) FROM pg_stat_activity
			WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%' || $1 || '%'`, words) >= n
	}, "no %d statements with %q wait for a lock", n, words)
}

// dropNotifications makes every pg_notify of the database do nothing, for sessions that begin after it.
func (c *cluster) dropNotifications() {
	c.t.Helper()
	c.exec(`CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'`)
	name := value[string](c, `SELECT quote_ident(current_database())`)
	c.exec(`ALTER DATABASE ` + name + ` SET search_path = public, pg_catalog`)
}
