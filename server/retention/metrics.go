package retention

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The tables that rows are removed from.
const (
	tableClaims  = "consumer_claims"
	tableEvents  = "claim_events"
	tableActions = "actions"
	tableWakes   = "stream_messages"
)

type metrics struct {
	removed  *prometheus.CounterVec
	failures prometheus.Counter
	finished prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	m := &metrics{
		removed: with.NewCounterVec(prometheus.CounterOpts{
			Name: "wakelatch_retention_removed_total",
			Help: "Rows removed because they were past their age, by table.",
		}, []string{"table"}),
		failures: with.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_retention_failures_total",
			Help: "Turns of the retention that left something for the next because of an error.",
		}),
		finished: with.NewGauge(prometheus.GaugeOpts{
			Name: "wakelatch_retention_finished_timestamp_seconds",
			Help: "When this node last took a turn of the retention without an error, in Unix time; 0 before the first.",
		}),
	}
	for _, table := range []string{tableClaims, tableEvents, tableActions, tableWakes} {
		m.removed.WithLabelValues(table)
	}
	return m
}

func (m *metrics) count(table string, rows int64) {
	m.removed.WithLabelValues(table).Add(float64(rows))
}
