package entity

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Outcomes of a delayed message that is due.
const (
	delayedSent    = "sent"
	delayedDropped = "dropped"
)

type metrics struct {
	delayed *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{delayed: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_delayed_sends_total",
		Help: "Delayed messages that came due, by outcome: sent, or dropped because the entity takes no more.",
	}, []string{"outcome"})}
	for _, outcome := range []string{delayedSent, delayedDropped} {
		m.delayed.WithLabelValues(outcome)
	}
	return m
}
