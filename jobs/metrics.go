package jobs

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/wakelatch/wakelatch/jobs/args"
)

// Outcomes of one attempt of a job.
const (
	outcomeCompleted       = "completed"
	outcomeCompletedSingly = "completed_singly"
	outcomeRetried         = "retried"
)

type metrics struct {
	outcomes *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{outcomes: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_job_outcomes_total",
		Help: "Attempts of jobs, by kind and outcome.",
	}, []string{"kind", "outcome"})}
	for _, outcome := range []string{outcomeCompleted, outcomeCompletedSingly, outcomeRetried} {
		m.outcomes.WithLabelValues(args.ReleaseClaims{}.Kind(), outcome)
	}
	for _, outcome := range []string{outcomeCompleted, outcomeRetried} {
		m.outcomes.WithLabelValues(args.SendDelayed{}.Kind(), outcome)
	}
	return m
}

func (m *metrics) count(kind, outcome string) { m.outcomes.WithLabelValues(kind, outcome).Inc() }
