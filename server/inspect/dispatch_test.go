package inspect_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/inspect"
)

// entity writes an entity of runner r1, which is online, with nothing pending.
func (r *rig) entity(url, status string) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.entities (tenant_id, url, type, status, dispatch_runner_id, created_by, spawn_txid)
		VALUES ($1, $2, 'demo', $3, 'r1', 'alice', 't')`, tenant, url, status)
	r.exec(`INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, generation) VALUES ($1, $2, 1)`, tenant, url)
	r.exec(`INSERT INTO wakelatch.runners (tenant_id, id, owner_principal, label, kind, wake_stream)
		VALUES ($1, 'r1', 'alice', 'l', 'k', 'runners/r1/wake') ON CONFLICT DO NOTHING`, tenant)
	r.exec(`INSERT INTO wakelatch.runner_diagnostics (tenant_id, runner_id, last_seen_at, lease_expires_at)
		VALUES ($1, 'r1', statement_timestamp(), statement_timestamp() + interval '1 minute') ON CONFLICT DO NOTHING`, tenant)
}

// claimed writes claim w_1 epoch 1 of /demo/one with a lease that ends after some time.
func (r *rig) claimed(lease string) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
		VALUES ($1, 'w_1', 1, '/demo/one', 'demo/one/main', 'r1', 'idle', 0)`, tenant)
	r.exec(`INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at)
		VALUES ($1, 'w_1', 1, statement_timestamp() + $2::text::interval)`, tenant, lease)
	r.exec(`UPDATE wakelatch.entity_dispatch_state SET active_consumer_id = 'w_1', active_runner_id = 'r1', active_epoch = 1,
		active_claimed_at = statement_timestamp() WHERE entity_url = '/demo/one'`)
}

const (
	pending = `UPDATE wakelatch.entity_dispatch_state SET last_outside_seq = 10`
	wakeOut = `UPDATE wakelatch.entity_dispatch_state SET last_outside_seq = 10, outstanding_wake_id = 'w_2', outstanding_runner_id = 'r1',
		outstanding_since = statement_timestamp(), outstanding_emissions = 1, next_attempt_at = statement_timestamp() + interval '10 seconds'`
	offline = `UPDATE wakelatch.runner_diagnostics SET lease_expires_at = statement_timestamp() - interval '1 second'`
)

func TestEveryStateSaysWhatHappensNext(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, status string
		lease        string
		change       []string
		state        inspect.State
		what         string
		timed        bool
		command      string
	}{
		{name: "idle", state: inspect.StateIdle, what: "no message waits; the next one that is sent wakes runner r1"},
		{
			name: "idle without a policy", change: []string{`UPDATE wakelatch.entities SET dispatch_runner_id = NULL`},
			state: inspect.StateIdle, what: "no dispatch policy", command: "wakelatch entities move /demo/one --to RUNNER --reason WHY",
		},
		{name: "due", change: []string{pending}, state: inspect.StateDue, what: "the next sweep", timed: true},
		{
			name: "wake out", change: []string{wakeOut}, state: inspect.StateWakeOut, what: "runner r1 is online and claims the wake", timed: true,
			command: "wakelatch entities move /demo/one --to RUNNER --reason WHY",
		},
		{
			name: "wake out and runner offline", change: []string{wakeOut, offline}, state: inspect.StateRunnerOffline,
			what: "runner r1 is offline; it claims the wake when it comes back", command: "wakelatch entities move /demo/one --to RUNNER --reason WHY",
		},
		{
			name: "wake out and runner never heard of", change: []string{wakeOut, `DELETE FROM wakelatch.runner_diagnostics`}, state: inspect.StateRunnerOffline,
			what: "runner r1 was never heard of", command: "wakelatch entities move /demo/one --to RUNNER --reason WHY",
		},
		{
			name: "runner disabled", change: []string{wakeOut, `UPDATE wakelatch.runners SET admin_status = 'disabled'`}, state: inspect.StateRunnerDisabled,
			what: "nothing, until runner r1, which is disabled, is enabled", command: "wakelatch runners enable r1 --reason WHY",
		},
		{
			name: "runner draining", change: []string{pending, `UPDATE wakelatch.runners SET admin_status = 'draining'`}, state: inspect.StateRunnerDraining,
			what: "nothing, until runner r1, which is draining, is enabled", command: "wakelatch runners enable r1 --reason WHY",
		},
		{
			name: "runner not registered", change: []string{pending, `DELETE FROM wakelatch.runners`}, state: inspect.StateRunnerUnknown,
			what: "until a runner r1 is registered", command: "wakelatch entities move /demo/one --to RUNNER --reason WHY",
		},
		{
			name: "no policy", change: []string{pending, `UPDATE wakelatch.entities SET dispatch_runner_id = NULL`}, state: inspect.StateUnrouted,
			what: "no dispatch policy names a runner", command: "wakelatch entities move /demo/one --to RUNNER --reason WHY",
		},
		{
			name: "claimed", status: "running", lease: "30 seconds", state: inspect.StateClaimed, what: "runner r1 posts done", timed: true,
			command: "wakelatch claims release w_1 1 --reason WHY",
		},
		{
			name: "claimed and paused", status: "paused", lease: "30 seconds", state: inspect.StateClaimed, what: "then the entity stays paused", timed: true,
			command: "wakelatch claims release w_1 1 --reason WHY",
		},
		{
			name: "claimed and stopping", status: "stopping", lease: "30 seconds", state: inspect.StateClaimed, what: "then the entity is stopped", timed: true,
			command: "wakelatch claims release w_1 1 --reason WHY",
		},
		{
			name: "lease just ended", status: "running", lease: "-1 second", state: inspect.StateClaimed, what: "runner r1 posts done", timed: true,
			command: "wakelatch claims release w_1 1 --reason WHY",
		},
		{
			name: "lease long over", status: "running", lease: "-1 minute", state: inspect.StateOverdue, what: "the claim should be over by now",
			command: "wakelatch claims release w_1 1 --reason WHY",
		},
		{
			name: "releasing", status: "running", lease: "30 seconds", state: inspect.StateReleasing, what: "released within milliseconds",
			change: []string{`UPDATE wakelatch.consumer_claims SET done_at = statement_timestamp(), done_outcome = 'succeeded'`},
		},
		{
			name: "done and not released", status: "running", lease: "30 seconds", state: inspect.StateOverdue, what: "the claim should be over by now",
			change:  []string{`UPDATE wakelatch.consumer_claims SET done_at = statement_timestamp() - interval '6 seconds', done_outcome = 'succeeded'`},
			command: "wakelatch claims release w_1 1 --reason WHY",
		},
		{
			name: "backing off", change: []string{pending, `UPDATE wakelatch.entity_dispatch_state SET failures = 3, next_attempt_at = statement_timestamp() + interval '1 minute'`},
			state: inspect.StateBackingOff, what: "again, after 3 failures in a row", timed: true,
			command: "wakelatch entities pause /demo/one --reason WHY && wakelatch entities resume /demo/one --reason WHY",
		},
		{
			name: "parked", change: []string{pending, `UPDATE wakelatch.entity_dispatch_state SET failures = 10, parked_reason = 'ten in a row'`},
			state: inspect.StateParked, what: "un-parked: ten in a row", command: "wakelatch entities unpark /demo/one --reason WHY",
		},
		{name: "paused", status: "paused", state: inspect.StatePaused, what: "until the entity is resumed", command: "wakelatch entities resume /demo/one --reason WHY"},
		{
			name: "paused with work", status: "paused", change: []string{pending}, state: inspect.StatePaused, what: "the messages that wait wake its runner",
			command: "wakelatch entities resume /demo/one --reason WHY",
		},
		{
			name: "stopping without a claim", status: "stopping", state: inspect.StateStopping, what: "stopping without a claim",
			command: "wakelatch entities kill /demo/one --reason WHY",
		},
		{name: "stopped", status: "stopped", state: inspect.StateStopped, what: "stopped for good", command: "wakelatch entities delete /demo/one --reason WHY"},
		{name: "killed", status: "killed", state: inspect.StateKilled, what: "killed for good", command: "wakelatch entities delete /demo/one --reason WHY"},
		{name: "deleted", change: []string{pending, `DELETE FROM wakelatch.entities`}, state: inspect.StateDeleted, what: "goes on after generation 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if tc.status == "" {
				tc.status = "idle"
			}
			r.entity("/demo/one", tc.status)
			if tc.lease != "" {
				r.claimed(tc.lease)
			}
			for _, sql := range tc.change {
				r.exec(sql)
			}
			d, err := r.Dispatch(t.Context(), tenant, "/demo/one")
			require.NoError(t, err)
			require.Equal(t, tc.state, d.State)
			require.Contains(t, d.Next.What, tc.what)
			require.Equal(t, tc.timed, d.Next.At != nil)
			require.Equal(t, tc.command, d.Next.Command)
		})
	}
}

func TestDispatchSaysWhoOwnsTheEntity(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.entity("/demo/one", "running")
	r.claimed("30 seconds")
	r.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, created_at)
		VALUES ($1, 'demo/one/main', 5, 'a', '2026-01-01'), ($1, 'demo/one/main', 10, 'b', '2026-01-02')`, tenant)
	r.exec(`UPDATE wakelatch.entity_dispatch_state SET last_outside_seq = 10, acked_seq = 5, last_consumer_id = 'w_0', last_epoch = 1,
		last_released_at = '2026-01-01', last_release_cause = 'expired'`)
	d, err := r.Dispatch(t.Context(), tenant, "/demo/one")
	require.NoError(t, err)
	require.Equal(t, "w_1", d.Owner.ConsumerID)
	require.Equal(t, "r1", d.Owner.RunnerID)
	require.InDelta(t, 30_000, *d.Owner.LeaseRemainingMS, 5_000)
	require.True(t, d.Pending)
	require.Equal(t, "2026-01-02T00:00:00Z", d.PendingSince.Format("2006-01-02T15:04:05Z07:00"))
	require.Equal(t, "expired", d.LastRelease.Cause)
	require.True(t, d.Runner.Online)
	require.Nil(t, d.Wake)

	_, err = r.Dispatch(t.Context(), "other", "/demo/one")
	require.ErrorIs(t, err, inspect.ErrNotFound)
}

func TestCommandsQuoteWhatAShellWouldTakeApart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.entity("/demo/it's $HOME", "paused")
	d, err := r.Dispatch(t.Context(), tenant, "/demo/it's $HOME")
	require.NoError(t, err)
	require.Equal(t, `wakelatch entities resume '/demo/it'\''s $HOME' --reason WHY`, d.Next.Command)
}
