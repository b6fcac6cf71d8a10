package claim_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// manyTenants makes tenants t01 to t60, of which tN has N active claims. None of them is pointed at, and no
// entity exists.
const manyTenants = `
INSERT INTO wakelatch.runners (tenant_id, id, owner_principal, label, kind, wake_stream)
SELECT to_char(t, '"t"FM00'), 'r1', 'p', 'l', 'k', 'runners/r1/wake' FROM generate_series(1, 60) t;
INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
SELECT to_char(t, '"t"FM00'), 'w' || n, 1, '/demo/e' || n, 'demo/e' || n || '/main', 'r1', 'idle', 0
FROM generate_series(1, 60) t, generate_series(1, t) n;
INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at)
SELECT tenant_id, consumer_id, epoch, statement_timestamp() + interval '1 hour' FROM wakelatch.consumer_claims;`

func TestGaugesNameTheFiftyTenantsWithMostClaims(t *testing.T) {
	t.Parallel()
	pool := dbtest.New(t).Pool
	_, err := pool.Exec(t.Context(), manyTenants)
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	gauges := claim.NewGauges(pool, 10*time.Millisecond, slog.New(slog.DiscardHandler), reg)
	require.Empty(t, gather(t, reg), "nothing is shown before it is read")

	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- gauges.Run(ctx) }()
	require.Eventually(t, func() bool { return len(gather(t, reg)) > 0 }, 10*time.Second, 10*time.Millisecond)
	stop()
	require.NoError(t, <-stopped)

	shown := gather(t, reg)
	tenants := shown["wakelatch_claims_active"]
	require.Len(t, tenants, 51)
	require.InDelta(t, 60, tenants["t60"], 0)
	require.InDelta(t, 11, tenants["t11"], 0)
	require.NotContains(t, tenants, "t10")
	require.InDelta(t, 10*11/2, tenants["other"], 0, "the ten smallest together")
	require.InDelta(t, 1000, shown["wakelatch_invariant_violations"]["I4"], 0, "as many as the query shows at most")
	require.InDelta(t, 0, shown["wakelatch_invariant_violations"]["I1"], 0)
}

// gather is every sample by metric and by the value of its one label.
func gather(t *testing.T, reg *prometheus.Registry) map[string]map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	samples := map[string]map[string]float64{}
	for _, family := range families {
		values := map[string]float64{}
		for _, m := range family.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				label = l.GetValue()
			}
			values[label] = m.GetGauge().GetValue()
		}
		samples[family.GetName()] = values
	}
	return samples
}
