package runner_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/runner"
)

func (f *fixture) health() runner.Health {
	f.t.Helper()
	h, err := f.Health(f.t.Context(), tenant, "r1")
	require.NoError(f.t, err)
	return h
}

func TestHealthOfAWorkingRunner(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.heartbeat()
	f.entity(tenant, "/demo/one", "r1")
	f.claim("/demo/one", time.Second)

	encoded, err := json.Marshal(f.health())
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(encoded, &got))
	self, claim := got["runner"].(map[string]any), got["claims"].(map[string]any)["active"].([]any)[0].(map[string]any)
	remaining := self["lease_remaining_ms"].(float64)
	require.Greater(t, remaining, 80_000.0)
	require.LessOrEqual(t, remaining, 90_000.0)
	for _, at := range []any{
		self["lease_expires_at"], self["last_seen_at"], self["created_at"], claim["claimed_at"], claim["lease_expires_at"],
	} {
		_, err := time.Parse(time.RFC3339, at.(string))
		require.NoError(t, err)
	}
	for _, name := range []string{"lease_expires_at", "lease_remaining_ms", "last_seen_at", "created_at"} {
		delete(self, name)
	}
	delete(claim, "claimed_at")
	delete(claim, "lease_expires_at")
	require.Empty(t, cmp.Diff(map[string]any{
		"runner": map[string]any{
			"id": "r1", "admin_status": "enabled", "liveness_status": "online",
			"wake_stream": "/runners/r1/wake", "wake_stream_offset": nil,
		},
		"client": nil,
		"claims": map[string]any{"active_count": 1.0, "active": []any{map[string]any{
			"consumer_id": "w_one", "epoch": 1.0, "entity_url": "/demo/one", "stream_path": "/demo/one/main",
			"last_heartbeat_at": nil,
		}}},
		"dispatch": map[string]any{
			"entities_with_active_claim": 1.0, "entities_with_outstanding_wake": 0.0, "entities_with_pending_work": 0.0,
		},
		"health": map[string]any{"status": "healthy", "issues": []any{}},
	}, got))
}

func TestHealthVerdicts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare  func(f *fixture)
		liveness runner.Liveness
		status   runner.HealthStatus
		issues   []string
	}{
		"never heard of": {
			func(*fixture) {}, runner.Offline, runner.Degraded,
			[]string{"the runner has sent no heartbeat yet"},
		},
		"alive": {func(f *fixture) { f.heartbeat() }, runner.Online, runner.Healthy, []string{}},
		"lease ended": {
			func(f *fixture) { f.heartbeat(); f.leaseEnded() }, runner.Expired, runner.Unhealthy,
			[]string{"the runner's liveness lease ended 12 s ago"},
		},
		"disabled": {
			func(f *fixture) { f.heartbeat(); f.disable() }, runner.Offline, runner.Unhealthy,
			[]string{"the runner is disabled"},
		},
		"client in trouble": {
			func(f *fixture) {
				f.report(`{"stream_connected":false,"last_heartbeat_ok":false,"reconnect_count":6}`)
			}, runner.Online, runner.Degraded,
			[]string{
				"the client reports that its wake stream is down", "the client reports that its last heartbeat failed",
				"the client reports 6 reconnects",
			},
		},
		"client reconnected as often as is tolerated": {
			func(f *fixture) { f.report(`{"stream_connected":true,"last_heartbeat_ok":true,"reconnect_count":5}`) },
			runner.Online, runner.Healthy,
			[]string{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.register("r1")
			test.prepare(f)
			h := f.health()
			require.Equal(t, test.liveness, h.Runner.Liveness)
			if test.liveness == runner.Expired {
				require.Zero(t, *h.Runner.LeaseRemainingMS)
			}
			require.Equal(t, runner.HealthSummary{Status: test.status, Issues: test.issues}, h.Health)
		})
	}
}

func (f *fixture) disable() {
	f.t.Helper()
	_, err := f.SetAdminStatus(f.t.Context(), runner.StatusRequest{Tenant: tenant, ID: "r1", Status: runner.Disabled, Actor: "/principal/user%3Aadmin"})
	require.NoError(f.t, err)
}

func (f *fixture) report(diagnostics string) {
	f.t.Helper()
	_, err := f.Heartbeat(f.t.Context(), runner.HeartbeatRequest{
		Tenant: tenant, ID: "r1", Diagnostics: json.RawMessage(diagnostics),
	})
	require.NoError(f.t, err)
}

func TestOverdueClaimsAreListedFirstAndSaid(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.heartbeat()
	for _, url := range []string{"/demo/fresh", "/demo/done", "/demo/doneearlier", "/demo/ended", "/demo/endednow"} {
		f.entity(tenant, url, "r1")
		f.claim(url, time.Second)
	}
	f.exec(`UPDATE wakelatch.consumer_claims SET done_at = statement_timestamp() - interval '3 seconds', done_outcome = 'succeeded'
		WHERE consumer_id = 'w_done'`)
	f.exec(`UPDATE wakelatch.consumer_claims SET done_at = statement_timestamp() - interval '7.5 seconds', done_outcome = 'succeeded'
		WHERE consumer_id = 'w_doneearlier'`)
	f.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() - interval '3.5 seconds' WHERE consumer_id = 'w_ended'`)
	f.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() - interval '1 second' WHERE consumer_id = 'w_endednow'`)

	h := f.health()
	require.EqualValues(t, 5, h.Claims.ActiveCount)
	flags := map[string][2]bool{}
	for i, c := range h.Claims.Active {
		flags[c.ConsumerID] = [2]bool{c.Releasing, c.Overdue}
		require.Equal(t, i < 2, c.Overdue, "overdue claims lead")
	}
	require.Equal(t, map[string][2]bool{
		"w_fresh": {false, false}, "w_done": {true, false}, "w_doneearlier": {true, true},
		"w_ended": {false, true}, "w_endednow": {false, false},
	}, flags)
	require.Equal(t, runner.Degraded, h.Health.Status)
	require.ElementsMatch(t, []string{
		"claim w_doneearlier epoch 1 should have been released 7 s ago",
		"claim w_ended epoch 1 should have been released 3 s ago",
	}, h.Health.Issues)
}

func TestHeartbeatingWithoutProgressIsSaid(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		age     time.Duration
		prepare string
		issues  []string
	}{
		"nothing since the claim":    {95 * time.Second, ``, []string{"no progress on claim w_one epoch 1 for 95 s"}},
		"claimed lately":             {10 * time.Second, ``, []string{}},
		"claim heartbeat":            {95 * time.Second, `UPDATE wakelatch.claim_leases SET last_heartbeat_at = statement_timestamp()`, []string{}},
		"ack":                        {95 * time.Second, `UPDATE wakelatch.claim_leases SET last_progress_at = statement_timestamp()`, []string{}},
		"claim heartbeat long ago":   {95 * time.Second, `UPDATE wakelatch.claim_leases SET last_heartbeat_at = statement_timestamp() - interval '40.5 s'`, []string{"no progress on claim w_one epoch 1 for 40 s"}},
		"append by the holder":       {95 * time.Second, appendAs(10, 0), []string{}},
		"append from outside":        {95 * time.Second, appendAs(10, 10), []string{"no progress on claim w_one epoch 1 for 95 s"}},
		"done, waiting for us":       {95 * time.Second, `UPDATE wakelatch.consumer_claims SET done_at = statement_timestamp() - interval '40.5 s', done_outcome = 'succeeded'`, []string{"claim w_one epoch 1 should have been released 40 s ago"}},
		"runner gone":                {95 * time.Second, `UPDATE wakelatch.runner_diagnostics SET lease_expires_at = statement_timestamp() - interval '1.5 s'`, []string{"the runner's liveness lease ended 1 s ago"}},
		"runner not heard of lately": {95 * time.Second, `UPDATE wakelatch.runner_diagnostics SET last_seen_at = statement_timestamp() - interval '80 s'`, []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.register("r1")
			f.heartbeat()
			f.entity(tenant, "/demo/one", "r1")
			f.claim("/demo/one", test.age)
			f.exec(test.prepare)
			h := f.health()
			require.Equal(t, test.issues, h.Health.Issues)
			require.Equal(t, len(test.issues) > 0, h.Health.Status != runner.Healthy)
		})
	}
}

// appendAs is an append that ends at tail; the last one from outside ended at outside.
func appendAs(tail, outside int) string {
	return `WITH s AS (UPDATE wakelatch.streams SET tail = ` + strconv.Itoa(tail) + `, outside_tail = ` + strconv.Itoa(outside) + `
			WHERE path = 'demo/one/main' RETURNING *)
		INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
		SELECT tenant_id, path, tail, 'x' FROM s`
}

func TestDispatchCountsAreTrue(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.register("r2")
	for _, url := range []string{"/demo/idle", "/demo/woken", "/demo/busy", "/demo/stopped"} {
		f.entity(tenant, url, "r1")
	}
	f.entity(tenant, "/demo/neighbour", "r2")
	f.entity("other", "/demo/woken", "r1")
	f.wake("other", "/demo/woken", "r1")
	f.wake(tenant, "/demo/neighbour", "r2")
	f.wake(tenant, "/demo/woken", "r1")
	f.wake(tenant, "/demo/stopped", "r1")
	f.exec(`UPDATE wakelatch.entities SET status = 'stopped' WHERE url = '/demo/stopped'`)
	f.exec(`UPDATE wakelatch.entity_dispatch_state
		SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL WHERE entity_url = '/demo/stopped'`)
	f.claim("/demo/busy", time.Second)
	require.Equal(t, runner.HealthDispatch{
		EntitiesWithActiveClaim: 1, EntitiesWithOutstandingWake: 1, EntitiesWithPendingWork: 1,
	}, f.health().Dispatch)
}

func TestALongListOfClaimsIsCutAndItsCountIsNot(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.exec(`INSERT INTO wakelatch.consumer_claims
			(tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
		SELECT 'default', 'w' || n, 1, '/demo/' || n, 'demo/' || n || '/main', 'r1', 'idle', 0 FROM generate_series(1, 130) n`)
	h := f.health()
	require.Len(t, h.Claims.Active, 100)
	require.EqualValues(t, 130, h.Claims.ActiveCount)
	require.EqualValues(t, 130, h.Dispatch.EntitiesWithActiveClaim)
}
