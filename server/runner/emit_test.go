package runner_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/runner"
)

// withWakes is a runner r1 that has two wakes out, and a neighbour and another tenant that have one each.
func withWakes(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.register("r1")
	f.register("r2")
	for _, e := range [][2]string{{"/demo/one", "r1"}, {"/demo/two", "r1"}, {"/demo/three", "r2"}} {
		f.entity(tenant, e[0], e[1])
		f.wake(tenant, e[0], e[1])
	}
	f.entity("other", "/demo/one", "r1")
	f.wake("other", "/demo/one", "r1")
	f.nudges.Store(0)
	require.Empty(t, f.due())
	return f
}

var ofR1 = []string{tenant + " /demo/one", tenant + " /demo/two"}

func TestWakesOfARunnerThatRegistersAreDueAtOnce(t *testing.T) {
	f := withWakes(t)
	f.register("r1")
	require.Equal(t, ofR1, f.due())
	require.EqualValues(t, 1, f.nudges.Load())
}

func TestWakesOfARunnerThatRegistersForTheFirstTimeAreDueAtOnce(t *testing.T) {
	f := newFixture(t)
	f.entity(tenant, "/demo/one", "r1")
	f.wake(tenant, "/demo/one", "r1")
	f.register("r1")
	require.Equal(t, []string{tenant + " /demo/one"}, f.due())
}

func TestWakesOfARunnerThatComesBackAreDueAtOnceAndOnce(t *testing.T) {
	f := withWakes(t)
	f.heartbeat()
	require.Empty(t, f.due(), "a first heartbeat follows a registration, which did it")
	f.heartbeat()
	require.Empty(t, f.due(), "a live runner's heartbeat touches no wake")
	require.Zero(t, f.nudges.Load())

	f.leaseEnded()
	f.heartbeat()
	require.Equal(t, ofR1, f.due())
	require.EqualValues(t, 1, f.nudges.Load())

	f.outAgain()
	f.heartbeat()
	require.Empty(t, f.due(), "it is back already")

	f.leaseEnded()
	f.register("r1")
	require.Equal(t, ofR1, f.due())
	f.outAgain()
	f.heartbeat()
	require.Empty(t, f.due(), "the registration before this heartbeat did it")
}

// outAgain is what a sweep does with the wakes of r1 that are due.
func (f *fixture) outAgain() {
	f.t.Helper()
	f.wake(tenant, "/demo/one", "r1")
	f.wake(tenant, "/demo/two", "r1")
}

func TestWakesOfARunnerThatIsEnabledAreDueAtOnce(t *testing.T) {
	f := withWakes(t)
	_, err := f.SetAdminStatus(t.Context(), runner.StatusRequest{Tenant: tenant, ID: "r1", Status: runner.Disabled, Actor: "/principal/user%3Aadmin"})
	require.NoError(t, err)
	f.register("r1")
	f.leaseEnded()
	f.heartbeat()
	require.Empty(t, f.due(), "nothing is emitted for a disabled runner")
	require.Zero(t, f.nudges.Load())

	r, err := f.SetAdminStatus(t.Context(), runner.StatusRequest{Tenant: tenant, ID: "r1", Status: runner.Enabled, Actor: "/principal/user%3Aadmin"})
	require.NoError(t, err)
	require.Equal(t, runner.Enabled, r.AdminStatus)
	require.Equal(t, ofR1, f.due())
	require.EqualValues(t, 1, f.nudges.Load())
}

func TestSetAdminStatusRefusesAnotherWord(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	_, err := f.SetAdminStatus(t.Context(), runner.StatusRequest{Tenant: tenant, ID: "r1", Status: "asleep", Actor: "/principal/user%3Aadmin"})
	var invalid *runner.InvalidError
	require.ErrorAs(t, err, &invalid)
}

func TestARegistrationWaitsForWhoHoldsADispatchRow(t *testing.T) {
	f := withWakes(t)
	holder, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(t.Context()) }()
	_, err = holder.Exec(t.Context(), `SELECT FROM wakelatch.entity_dispatch_state WHERE entity_url = '/demo/one' FOR UPDATE`)
	require.NoError(t, err)

	done := make(chan error, 1)
	go func() {
		_, err := f.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r1", Owner: alice})
		done <- err
	}()
	f.waitForBlocked()
	require.Empty(t, f.due())
	// The holder claims the wake: it is no longer outstanding, so it must not be emitted.
	_, err = holder.Exec(t.Context(), `UPDATE wakelatch.entity_dispatch_state
		SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL, next_attempt_at = NULL
		WHERE entity_url = '/demo/one' AND tenant_id = $1`, tenant)
	require.NoError(t, err)
	require.NoError(t, holder.Commit(t.Context()))
	require.NoError(t, <-done)
	require.Equal(t, []string{tenant + " /demo/two"}, f.due())
}

// waitForBlocked returns once a session of this database waits for a lock.
func (f *fixture) waitForBlocked() {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		var blocked bool
		err := f.pool.QueryRow(f.t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&blocked)
		return err == nil && blocked
	}, 10*time.Second, time.Millisecond)
}

func TestAHeartbeatIsOneRoundTripAndStaysOnItsPage(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	counter := &roundTrips{}
	pool := f.traced(counter)
	s := f.service(pool)
	for range 20 {
		_, err := s.Heartbeat(t.Context(), runner.HeartbeatRequest{
			Tenant: tenant, ID: "r1", WakeStreamOffset: "7", Diagnostics: []byte(`{"events_received":1}`),
		})
		require.NoError(t, err)
	}
	require.EqualValues(t, 20, counter.batches.Load())
	require.Zero(t, counter.queries.Load(), "a heartbeat must be one pipeline and nothing beside it")

	// Statistics are the session's until it hands them over; the pool has one session.
	_, err := pool.Exec(t.Context(), "SELECT pg_stat_force_next_flush()", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	var updates, hot int64
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
		WHERE relname = 'runner_diagnostics'`).Scan(&updates, &hot))
	require.Equal(t, []int64{20, 20}, []int64{updates, hot})
}
