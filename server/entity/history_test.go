package entity_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/runner"
)

func TestSignalsAreHistoryAndOnlyAChangeIsNews(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	version := d.spawn(``).Version
	for _, step := range []struct {
		signal string
		raises bool
	}{
		{entity.SIGINT, false}, {entity.SIGCONT, false}, {entity.SIGSTOP, true}, {entity.SIGSTOP, false}, {entity.SIGCONT, true},
	} {
		tail := d.tail()
		e, _, err := d.entities.Signal(t.Context(), entity.SignalRequest{
			Tenant: tenant, EntityURL: url, Principal: alice, Signal: step.signal, Reason: "because",
		})
		require.NoError(t, err)
		require.Equal(t, step.raises, e.Version > version, step.signal)
		require.Greater(t, d.tail(), tail, "each is an event")
		version = e.Version
	}
	require.Equal(t, 5, d.count(`SELECT count(*) FROM wakelatch.actions WHERE action = 'signalled' AND actor = $1 AND reason = 'because'`, alice))
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.actions WHERE details = '{"signal":"SIGSTOP","from":"idle","to":"paused"}'`))
}

func TestAMessageThatResumesIsHistory(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(``)
	_, _, err := d.entities.Signal(t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: url, Principal: alice, Signal: entity.SIGSTOP})
	require.NoError(t, err)
	_, err = d.entities.Send(t.Context(), entity.SendRequest{
		Tenant: tenant, EntityURL: url, Principal: alice, Mode: entity.ModePaused, Payload: json.RawMessage(`1`),
	})
	require.NoError(t, err)
	require.Zero(t, d.count(`SELECT count(*) FROM wakelatch.actions WHERE action = 'resumed'`))
	d.send(`2`)
	d.send(`3`)
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.actions WHERE action = 'resumed' AND actor = $1`, alice))
}

// A policy that names the same runner is another policy and no other work.
func TestMoveArmsForAnotherRunnerOnly(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	_, err := d.runners.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r2", Owner: alice})
	require.NoError(t, err)
	e := d.spawn(`1`)
	move := func(policy string) entity.Entity {
		moved, err := d.entities.Move(t.Context(), entity.MoveRequest{
			Tenant: tenant, EntityURL: url, DispatchPolicy: json.RawMessage(policy), Actor: alice, Reason: "because",
		})
		require.NoError(t, err)
		return moved
	}
	same := move(`{"targets":[{"runnerId":"r1","type":"runner"}]}`)
	require.Equal(t, e, same, "the same policy in other words")
	other := move(`{"targets":[{"type":"runner","runnerId":"r1"}],"note":"x"}`)
	require.Equal(t, e.Version+1, other.Version)
	require.Equal(t, []int64{1}, d.wakes(), "the wake that is out stays")
	// What a failure made wait is armed at once for another runner.
	_, err = d.db.Pool.Exec(t.Context(), `UPDATE wakelatch.entity_dispatch_state SET outstanding_wake_id = NULL, outstanding_runner_id = NULL,
		outstanding_since = NULL, failures = 3, next_attempt_at = statement_timestamp() + interval '1 hour'`)
	require.NoError(t, err)
	move(string(policyOf("r2")))
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.entity_dispatch_state WHERE outstanding_runner_id = 'r2' AND generation = 2`))
	// A parked one stays parked, and its wake goes to the new runner when it is un-parked.
	_, err = d.db.Pool.Exec(t.Context(), `UPDATE wakelatch.entity_dispatch_state SET outstanding_wake_id = NULL, outstanding_runner_id = NULL,
		outstanding_since = NULL, next_attempt_at = NULL, parked_reason = 'x'`)
	require.NoError(t, err)
	move(string(policyOf("r1")))
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.entity_dispatch_state WHERE outstanding_wake_id IS NULL AND parked_reason = 'x'`))
	_, _, err = d.entities.Signal(t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: url, Principal: alice, Signal: entity.SIGTERM})
	require.NoError(t, err)
	_, err = d.entities.Move(t.Context(), entity.MoveRequest{Tenant: tenant, EntityURL: url, DispatchPolicy: policyOf("r2"), Actor: alice, Reason: "x"})
	require.ErrorIs(t, err, entity.ErrNotRunning)
}
