package batch

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	items   prometheus.Histogram
	seconds prometheus.Histogram
	retries map[Class]prometheus.Counter
}

// newMetrics gives every batcher series of its own, told apart by the batch
// label, so that several batchers share one registry.
func newMetrics(reg prometheus.Registerer, name string) *metrics {
	factory := promauto.With(reg)
	labels := prometheus.Labels{"batch": name}
	retries := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_batch_retries_total", ConstLabels: labels,
		Help: "Items that were tried again after their flush failed, by the kind of failure.",
	}, []string{"reason"})
	return &metrics{
		items: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "wakelatch_batch_items", ConstLabels: labels,
			Help:    "Items per flush.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		seconds: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "wakelatch_batch_flush_seconds", ConstLabels: labels,
			Help:    "Duration of a flush, failed ones included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		retries: map[Class]prometheus.Counter{
			Fatal:     retries.WithLabelValues("fatal"),
			Transient: retries.WithLabelValues("transient"),
			Alone:     retries.WithLabelValues("alone"),
		},
	}
}
