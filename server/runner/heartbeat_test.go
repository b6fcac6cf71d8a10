package runner_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func TestAHeartbeatExtendsTheLivenessLease(t *testing.T) {
	f := newFixture(t)
	require.Nil(t, f.register("r1").LeaseExpiresAt)
	r, err := f.Heartbeat(t.Context(), runner.HeartbeatRequest{Tenant: tenant, ID: "r1", Lease: time.Minute})
	require.NoError(t, err)
	require.Equal(t, runner.Online, r.Liveness)
	require.Equal(t, time.Minute, r.LeaseExpiresAt.Sub(*r.LastSeenAt))
	require.Equal(t, runner.DefaultLease, func() time.Duration {
		r := f.heartbeat()
		return r.LeaseExpiresAt.Sub(*r.LastSeenAt)
	}())
}

func TestAHeartbeatKeepsWhatItDoesNotReport(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.exec(`UPDATE wakelatch.streams SET tail = 7`)
	_, err := f.Heartbeat(t.Context(), runner.HeartbeatRequest{
		Tenant: tenant, ID: "r1", WakeStreamOffset: "0000000000000007", Diagnostics: json.RawMessage(`{"claims_failed":3}`),
	})
	require.NoError(t, err)
	r := f.heartbeat()
	require.Equal(t, "0000000000000007", *r.WakeStreamOffset)
	require.EqualValues(t, 3, *r.Diagnostics.ClaimsFailed)
}

// An offset that nobody can have read must not let the events behind it pass for consumed.
func TestAHeartbeatReadsNoFurtherThanTheTail(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.exec(`UPDATE wakelatch.streams SET tail = 7`)
	for sent, kept := range map[string]string{
		"-1": "-1", "0000000000000007": "0000000000000007", "0000000000000008": "0000000000000007",
		"99999999999999999999": "0000000000000007", "0000000000000003": "0000000000000003",
	} {
		r, err := f.Heartbeat(t.Context(), runner.HeartbeatRequest{Tenant: tenant, ID: "r1", WakeStreamOffset: sent})
		require.NoError(t, err)
		require.Equal(t, kept, *r.WakeStreamOffset, sent)
	}
}

func TestAHeartbeatRefusesWhatNoClientOfOursSends(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	for _, request := range []runner.HeartbeatRequest{
		{Lease: -time.Second},
		{Lease: time.Millisecond},
		{Lease: runner.MaxLease + time.Second},
		{WakeStreamOffset: "now"},
		{WakeStreamOffset: "-2"},
		{WakeStreamOffset: strings.Repeat("1", 21)},
	} {
		request.Tenant, request.ID = tenant, "r1"
		_, err := f.Heartbeat(t.Context(), request)
		var invalid *runner.InvalidError
		require.ErrorAs(t, err, &invalid)
	}
	r, err := f.Get(t.Context(), tenant, "r1")
	require.NoError(t, err)
	require.Nil(t, r.LastSeenAt)
}

func TestDiagnosticsAreSanitised(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	tests := map[string]struct{ report, want string }{
		"known fields": {
			`{"running":true,"started_at":"2026-01-02T03:04:05.678Z","offset":"-1","stream_connected":true,"reconnect_count":2,
			  "last_error":null,"last_heartbeat_ok":false,"last_claim_result":"no_work","events_received":9007199254740991}`,
			`{"running":true,"started_at":"2026-01-02T03:04:05.678Z","offset":"-1","stream_connected":true,"reconnect_count":2,` +
				`"last_heartbeat_ok":false,"last_claim_result":"no_work","events_received":9007199254740991}`,
		},
		"unknown fields":     {`{"password":"hunter2","claims_failed":1}`, `{"claims_failed":1}`},
		"wrong types":        {`{"running":"yes","started_at":7,"reconnect_count":"2","last_error":{},"last_claim_result":1}`, `{}`},
		"impossible numbers": {`{"reconnect_count":-1,"events_received":1.5,"claims_failed":1e300}`, `{}`},
		"unknown result":     {`{"last_claim_result":"perhaps"}`, `{}`},
		"not a time":         {`{"started_at":"yesterday"}`, `{}`},
		"control characters": {`{"last_error":"a\u0000b\nc"}`, `{"last_error":"a b c"}`},
		"long text":          {`{"last_error":"` + long + `"}`, `{"last_error":"` + long[:1024] + `"}`},
	}
	f := newFixture(t)
	f.register("r1")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := f.Heartbeat(t.Context(), runner.HeartbeatRequest{
				Tenant: tenant, ID: "r1", Diagnostics: json.RawMessage(test.report),
			})
			require.NoError(t, err)
			got, err := json.Marshal(r.Diagnostics)
			require.NoError(t, err)
			require.JSONEq(t, test.want, string(got))
		})
	}
	for _, report := range []string{"", "null", "[]", `"text"`, "{", "7"} {
		require.Nil(t, runner.ParseDiagnostics([]byte(report)))
	}
}

func FuzzParseDiagnostics(f *testing.F) {
	f.Add([]byte(`{"running":true,"last_error":"\ud800","started_at":"0000-01-01T00:00:00Z","reconnect_count":1e15}`))
	f.Fuzz(func(t *testing.T, report []byte) {
		d := runner.ParseDiagnostics(report)
		if d == nil {
			return
		}
		encoded, err := json.Marshal(d)
		require.NoError(t, err)
		require.Equal(t, d, runner.ParseDiagnostics(encoded), "what is stored reads back as it is")
	})
}

func TestADatabaseThatIsAwayForAMomentIsRiddenOut(t *testing.T) {
	t.Parallel()
	server := dbtest.NewServer(t)
	f := &fixture{t: t, pool: server.New(t).Pool}
	f.Service = f.service(f.pool)
	f.register("r1")

	require.NoError(t, server.Interrupt(t.Context(), localpg.Immediate))
	impatient := runner.New(runner.Options{Pool: f.pool, Log: discard(), RideOut: 50 * time.Millisecond})
	_, err := impatient.Heartbeat(t.Context(), runner.HeartbeatRequest{Tenant: tenant, ID: "r1"})
	require.True(t, pg.IsUnavailable(err), "%v", err)

	answered := make(chan error, 2)
	go func() {
		_, err := f.Heartbeat(t.Context(), runner.HeartbeatRequest{Tenant: tenant, ID: "r1"})
		answered <- err
	}()
	go func() { answered <- f.WakeAccess(t.Context(), tenant, "r1") }()
	require.NoError(t, server.Resume(t.Context()))
	require.NoError(t, <-answered)
	require.NoError(t, <-answered)
}
