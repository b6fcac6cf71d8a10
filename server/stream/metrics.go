package stream

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// What becomes of an append, as the statement and the metric call it. The last one is never the
// statement's.
const (
	outcomeAppended    = "appended"
	outcomeDuplicate   = "duplicate"
	outcomeNotFound    = "not_found"
	outcomeForbidden   = "forbidden"
	outcomeFenced      = "fenced"
	outcomeClosed      = "closed"
	outcomeContentType = "content_type"
	outcomeStreamSeq   = "stream_seq"
	outcomeStale       = "stale"
	outcomeEpochStart  = "epoch_start"
	outcomeGap         = "gap"
	outcomeInvalid     = "invalid"
)

const (
	modeCatchUp  = "catch_up"
	modeLongPoll = "long_poll"
)

type metrics struct {
	appends *prometheus.CounterVec
	fenced  prometheus.Counter
	reads   *prometheus.CounterVec
	polls   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	auto := promauto.With(reg)
	m := &metrics{
		appends: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "wakelatch_appends_total",
			Help: "Appends by clients, by what became of them.",
		}, []string{"outcome"}),
		fenced: auto.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_appends_fenced_total",
			Help: "Appends that passed the token check in memory and were refused by the store.",
		}),
		reads: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "wakelatch_stream_reads_total",
			Help: "Reads of streams by mode.",
		}, []string{"mode"}),
		polls: auto.NewGauge(prometheus.GaugeOpts{
			Name: "wakelatch_long_polls",
			Help: "Stream reads that are waiting for news.",
		}),
	}
	for _, outcome := range []string{
		outcomeAppended, outcomeDuplicate, outcomeNotFound, outcomeForbidden, outcomeFenced, outcomeClosed,
		outcomeContentType, outcomeStreamSeq, outcomeStale, outcomeEpochStart, outcomeGap, outcomeInvalid,
	} {
		m.appends.WithLabelValues(outcome)
	}
	m.reads.WithLabelValues(modeCatchUp)
	m.reads.WithLabelValues(modeLongPoll)
	return m
}

func (m *metrics) appended(outcome string) {
	m.appends.WithLabelValues(outcome).Inc()
	if outcome == outcomeFenced {
		m.fenced.Inc()
	}
}
