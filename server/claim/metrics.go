package claim

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/wakelatch/wakelatch/sql/db"
)

type metrics struct {
	claims         *prometheus.CounterVec
	confirms       *prometheus.CounterVec
	heartbeats     *prometheus.CounterVec
	dones          *prometheus.CounterVec
	releases       *prometheus.CounterVec
	expiries       *prometheus.CounterVec
	doneToReleased prometheus.Histogram
	armed          prometheus.Counter
	emittedAgain   prometheus.Counter
	reconciled     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	counters := func(name, help string, labels []string, values ...[]string) *prometheus.CounterVec {
		c := with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		for _, v := range values {
			c.WithLabelValues(v...)
		}
		return c
	}
	one := []string{"outcome"}
	two := []string{"outcome", "by"}
	return &metrics{
		claims: counters("wakelatch_claims_total", "Claims asked for, by outcome.", one,
			[]string{outcomeClaimed}, []string{outcomeRepeated}, []string{outcomeAlreadyClaimed}, []string{outcomeNoPendingWork},
			[]string{outcomeNotAwake}, []string{outcomeNoRunner}, []string{outcomeNoEntity}, []string{outcomeForeignRunner}),
		confirms: counters("wakelatch_confirms_total", "Claims confirmed, by outcome.", one,
			[]string{"confirmed"}, []string{"already_confirmed"}, []string{"unknown"}, []string{"lost"}),
		heartbeats: counters("wakelatch_heartbeats_total", "Heartbeats of claims, by outcome.", one,
			[]string{"renewed"}, []string{"unknown"}, []string{"lost"}),
		dones: counters("wakelatch_dones_total", "Dones answered, by outcome.", one,
			[]string{DoneRecorded}, []string{DoneRepeated}, []string{DoneLate}, []string{"unknown"}),
		releases: counters("wakelatch_releases_total", "Claims released for another cause than a lease that ended, by outcome and releaser.", two,
			[]string{outcomeReleased, string(ByJob)}, []string{outcomeStale, string(ByJob)}, []string{outcomeRepeated, string(ByJob)},
			[]string{outcomeReleased, string(BySweep)}, []string{outcomeReleased, string(BySignal)},
			[]string{outcomeReleased, string(ByHolder)}, []string{outcomeReleased, string(ByAdmin)}),
		expiries: counters("wakelatch_expiries_total", "Claims whose lease ended, by outcome and releaser.", two,
			[]string{outcomeReleased, string(BySweep)}, []string{outcomeKept, string(BySweep)}),
		doneToReleased: with.NewHistogram(prometheus.HistogramOpts{
			Name: "wakelatch_done_to_released_seconds", Help: "From the recorded done to the release of its claim, in seconds.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
		armed:        with.NewCounter(prometheus.CounterOpts{Name: "wakelatch_wakes_armed_total", Help: "Wakes made."}),
		emittedAgain: with.NewCounter(prometheus.CounterOpts{Name: "wakelatch_wakes_emitted_again_total", Help: "Wake events appended again because nobody claimed the wake."}),
		reconciled:   with.NewCounter(prometheus.CounterOpts{Name: "wakelatch_reconcile_tokens_dropped_total", Help: "Tokens still in memory that the reconcile found released: notifications that were lost."}),
	}
}

func (m *metrics) countRelease(r Release, row db.ReleaseClaimsRow) {
	if r.Cause == CauseExpired {
		m.expiries.WithLabelValues(row.Outcome, string(r.By)).Inc()
		return
	}
	m.releases.WithLabelValues(row.Outcome, string(r.By)).Inc()
	if row.Outcome == outcomeReleased && r.Cause == CauseDone {
		m.doneToReleased.Observe(row.SecondsSinceDone)
	}
}
