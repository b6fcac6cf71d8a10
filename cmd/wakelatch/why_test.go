package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// state is what why says of an entity, and the command it prints.
func (i *incident) state(entity string) (state, command string) {
	i.t.Helper()
	var answer struct {
		Dispatch dispatchView `json:"dispatch"`
	}
	require.NoError(i.t, json.Unmarshal([]byte(i.does("why "+entity+" --json")), &answer))
	return answer.Dispatch.State, answer.Dispatch.Next.Command
}

// In each state the printed command, typed as it is but for the runner's name, changes the state to the one wanted.
func TestWhyPrintsCommandsThatWork(t *testing.T) {
	t.Parallel()
	const noWake = `UPDATE wakelatch.entity_dispatch_state SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL,
		outstanding_emissions = 0, `
	const two = ` WHERE entity_url = '/demo/two'`
	for _, tc := range []struct{ entity, before, line, sql, after string }{
		{entity: "/demo/one", before: "claimed", after: "wake_out"},
		{entity: "/demo/two", before: "backing_off", sql: noWake + `failures = 5, next_attempt_at = now() + interval '4 minutes'` + two, after: "wake_out"},
		{entity: "/demo/two", before: "parked", sql: noWake + `failures = 20, parked_reason = 'x', next_attempt_at = NULL` + two, after: "wake_out"},
		{entity: "/demo/two", before: "paused", line: "entities pause /demo/two --reason x", after: "wake_out"},
		{entity: "/demo/two", before: "stopped", line: "entities stop /demo/two --reason x", after: "deleted"},
		{entity: "/demo/two", before: "killed", line: "entities kill /demo/two --reason x", after: "deleted"},
		{entity: "/demo/two", before: "runner_disabled", line: "runners disable r1 --reason x", after: "wake_out"},
		{entity: "/demo/two", before: "runner_draining", line: "runners drain r1 --reason x", after: "wake_out"},
		{entity: "/demo/two", before: "runner_unknown", line: "runners delete r1 --reason x", after: "wake_out"},
		{entity: "/demo/two", before: "runner_offline", sql: `UPDATE wakelatch.runner_diagnostics SET lease_expires_at = now() WHERE runner_id = 'r1'`, after: "wake_out"},
		{
			entity: "/demo/two", before: "unrouted", after: "wake_out",
			sql: noWake + `next_attempt_at = NULL` + two + `; UPDATE wakelatch.entities SET dispatch_runner_id = NULL, dispatch_policy = NULL WHERE url = '/demo/two'`,
		},
	} {
		t.Run(tc.before, func(t *testing.T) {
			t.Parallel()
			i := newIncident(t)
			i.call(201, "POST", "/_electric/runners", `{"id":"r2"}`)
			i.call(200, "POST", "/_electric/runners/r2/heartbeat", `{"lease_ms":60000}`)
			if tc.sql != "" {
				i.exec(tc.sql)
			}
			if tc.line != "" {
				i.does(tc.line)
			}
			state, commands := i.state(tc.entity)
			require.Equal(t, tc.before, state)
			for command := range strings.SplitSeq(commands, " && ") {
				i.does(strings.Replace(strings.TrimPrefix(command, "wakelatch "), "RUNNER", "r2", 1))
				// A runner that is enabled again is there as soon as it is heard of.
				i.call(200, "POST", "/_electric/runners/r2/heartbeat", `{"lease_ms":60000}`)
				if tc.before != "runner_unknown" {
					i.call(200, "POST", "/_electric/runners/r1/heartbeat", `{"lease_ms":60000}`)
				}
			}
			require.Eventually(t, func() bool {
				state, _ = i.state(tc.entity)
				return state == tc.after
			}, patience, tick, "it is %s", &state)
		})
	}
}
