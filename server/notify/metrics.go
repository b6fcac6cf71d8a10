package notify

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	labelOther     = "other"
	labelMalformed = "malformed"
)

type listenerMetrics struct {
	connected     prometheus.Gauge
	resyncs       prometheus.Counter
	reconnects    prometheus.Counter
	notifications map[string]prometheus.Counter
	delay         prometheus.Histogram
}

func newListenerMetrics(reg prometheus.Registerer) *listenerMetrics {
	factory := promauto.With(reg)
	byKind := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_notifications_total",
		Help: "Hints received from all nodes, by kind; malformed counts payloads.",
	}, []string{"kind"})
	m := &listenerMetrics{
		connected: factory.NewGauge(prometheus.GaugeOpts{
			Name: "wakelatch_listener_connected",
			Help: "1 while the listener is connected and has resynced.",
		}),
		resyncs: factory.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_listener_resyncs_total",
			Help: "Resyncs from rows that succeeded.",
		}),
		reconnects: factory.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_listener_reconnects_total",
			Help: "Times the listener lost its connection or could not get one.",
		}),
		delay: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "wakelatch_notify_delay_seconds",
			Help:    "Time from sending a hint to this node until it was received here, measured with hints of its own.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}),
		notifications: map[string]prometheus.Counter{},
	}
	for _, k := range []string{
		string(KindClaim), string(KindTail), string(KindEntity), string(kindResync), string(kindProbe), labelOther, labelMalformed,
	} {
		m.notifications[k] = byKind.WithLabelValues(k)
	}
	return m
}

func (m *listenerMetrics) received(k Kind) {
	if c, ok := m.notifications[string(k)]; ok {
		c.Inc()
		return
	}
	m.notifications[labelOther].Inc()
}

type publisherMetrics struct {
	published prometheus.Counter
	dropped   prometheus.Counter
	failures  prometheus.Counter
}

func newPublisherMetrics(reg prometheus.Registerer) *publisherMetrics {
	factory := promauto.With(reg)
	return &publisherMetrics{
		published: factory.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_notify_published_total",
			Help: "Hints sent, after coalescing.",
		}),
		dropped: factory.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_notify_dropped_total",
			Help: "Hints given up because too many were waiting to be sent; the reconcile makes up for them.",
		}),
		failures: factory.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_notify_publish_failures_total",
			Help: "Statements that sent hints and failed; their hints are sent again.",
		}),
	}
}
