package dashboards_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/dashboards"
	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestANodeShowsWhatIsListed(t *testing.T) {
	registry := prometheus.NewRegistry()
	node, err := server.New(server.Options{
		DatabaseURL: dbtest.New(t).DSN, Registry: registry, Access: server.Access{Auth: server.AuthKeys},
	})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	defer func() { require.NoError(t, node.Stop(t.Context())) }()

	require.Empty(t, dashboards.Differences(registry))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)

	types := map[dashboards.Kind]dto.MetricType{
		dashboards.Counter: dto.MetricType_COUNTER, dashboards.Gauge: dto.MetricType_GAUGE, dashboards.Histogram: dto.MetricType_HISTOGRAM,
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	shown := map[string]dto.MetricType{}
	for _, family := range families {
		shown[family.GetName()] = family.GetType()
	}
	for _, m := range dashboards.Metrics() {
		if kind, found := shown[m.Name]; found {
			require.Equal(t, types[m.Kind], kind, m.Name)
		}
	}
}
