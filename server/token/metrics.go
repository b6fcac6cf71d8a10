package token

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type lookupResult string

const (
	lookupActive lookupResult = "active"
	lookupOver   lookupResult = "over"
	lookupError  lookupResult = "error"
)

type metrics struct {
	checks  checkCounts
	lookups map[lookupResult]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, inMemory func() int) *metrics {
	factory := promauto.With(reg)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wakelatch_tokens",
		Help: "Claims whose write token this node holds in memory.",
	}, func() float64 { return float64(inMemory()) })
	lookups := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_token_lookups_total",
		Help: "Looks at Postgres for the claim of a stream, by what they found.",
	}, []string{"result"})
	m := &metrics{lookups: map[lookupResult]prometheus.Counter{}}
	for _, r := range []lookupResult{lookupActive, lookupOver, lookupError} {
		m.lookups[r] = lookups.WithLabelValues(string(r))
	}
	m.checks.desc = prometheus.NewDesc("wakelatch_token_checks_total",
		"Checks of a write token against memory, by verdict.", []string{"verdict"}, nil)
	if reg != nil {
		// The names are constants of this package, so a refusal is a second
		// view in one registry: a bug of the caller, as promauto treats it.
		reg.MustRegister(&m.checks)
	}
	return m
}

// checkCounts is a counter for a path that takes tens of nanoseconds: each
// cell has cache lines of its own and is chosen by the stream's hash, so that
// checks of different streams do not meet.
type checkCounts struct {
	cells [shardNum]struct {
		n [verdicts]atomic.Uint64
		_ [128 - 8*verdicts]byte
	}
	desc *prometheus.Desc
}

func (c *checkCounts) add(hash uint64, v Verdict) {
	c.cells[hash>>(64-shardBits)].n[v].Add(1)
}

// Describe implements prometheus.Collector.
func (c *checkCounts) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *checkCounts) Collect(ch chan<- prometheus.Metric) {
	for v := range Verdict(verdicts) {
		var sum uint64
		for i := range c.cells {
			sum += c.cells[i].n[v].Load()
		}
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(sum), v.String())
	}
}
