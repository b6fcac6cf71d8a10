package retention_test

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/retention"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// BenchmarkTurn removes ended claims with five events each, pauses included.
func BenchmarkTurn(b *testing.B) {
	const claims = 5000
	d := dbtest.New(b)
	s := retention.New(retention.Options{
		Pool: d.Pool, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Claims: keepClaims,
	})
	for b.Loop() {
		b.StopTimer()
		_, err := d.Pool.Exec(b.Context(), `INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path,
				runner_id, status, entity_status, start_seq, released_at, release_cause, released_by, entity_cleared)
			SELECT 'default', 'w' || n, 1, '/demo/e' || n, 'demo/e' || n || '/main', 'r1', 'released', 'idle', 0,
				statement_timestamp() - interval '8 days', 'done', 'job', true FROM generate_series(1, $1::integer) n`, claims)
		require.NoError(b, err)
		_, err = d.Pool.Exec(b.Context(), `INSERT INTO wakelatch.claim_events (tenant_id, consumer_id, epoch, transition, entity_url, runner_id, actor)
			SELECT 'default', 'w' || n, 1, t, '/demo/e' || n, 'r1', 'runner:r1'
			FROM generate_series(1, $1::integer) n, unnest(ARRAY['claimed', 'confirmed', 'done', 'released', 'done_late']) t`, claims)
		require.NoError(b, err)
		b.StartTimer()
		require.NoError(b, s.Turn(b.Context()))
	}
	b.ReportMetric(float64(claims*b.N)/b.Elapsed().Seconds(), "claims/s")
}
