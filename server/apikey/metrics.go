package apikey

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	present = "present"
	absent  = "absent"
	failed  = "error"
)

type metrics struct {
	checks  map[string]prometheus.Counter
	lookups map[string]prometheus.Counter
	limited prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, known func() int) *metrics {
	factory := promauto.With(reg)
	checks := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_api_key_checks_total",
		Help: "API keys that were presented, by what was found.",
	}, []string{"outcome"})
	lookups := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_api_key_lookups_total",
		Help: "API keys that were asked for in Postgres, those in use once a second, by the result.",
	}, []string{"result"})
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wakelatch_api_keys",
		Help: "API keys that this node knows, those used within the last minute.",
	}, func() float64 { return float64(known()) })
	m := &metrics{
		checks: map[string]prometheus.Counter{}, lookups: map[string]prometheus.Counter{},
		limited: factory.NewCounter(prometheus.CounterOpts{
			Name: "wakelatch_api_key_limited_total",
			Help: "Requests refused because their API key sent too many.",
		}),
	}
	for _, outcome := range []string{"valid", "unknown", "revoked", "expired", "error"} {
		m.checks[outcome] = checks.WithLabelValues(outcome)
	}
	for _, result := range []string{present, absent, failed} {
		m.lookups[result] = lookups.WithLabelValues(result)
	}
	return m
}

func (m *metrics) check(err error) {
	outcome := "error"
	switch {
	case err == nil:
		outcome = "valid"
	case errors.Is(err, ErrUnknown):
		outcome = "unknown"
	case errors.Is(err, ErrRevoked):
		outcome = "revoked"
	case errors.Is(err, ErrExpired):
		outcome = "expired"
	}
	m.checks[outcome].Inc()
}
