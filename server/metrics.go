package server

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// registerPool shows the pool for requests as it is at each scrape.
func registerPool(reg prometheus.Registerer, pool *pgxpool.Pool) {
	factory := promauto.With(reg)
	states := map[string]func(*pgxpool.Stat) int32{
		"acquired":     (*pgxpool.Stat).AcquiredConns,
		"idle":         (*pgxpool.Stat).IdleConns,
		"constructing": (*pgxpool.Stat).ConstructingConns,
		"max":          (*pgxpool.Stat).MaxConns,
	}
	for state, count := range states {
		factory.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "wakelatch_pool_connections",
			Help:        "Database connections for requests, by state; max is how many there may be.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(count(pool.Stat())) })
	}
	factory.NewCounterFunc(prometheus.CounterOpts{
		Name: "wakelatch_pool_acquire_waits_total",
		Help: "Times that a request had to wait for a database connection.",
	}, func() float64 { return float64(pool.Stat().EmptyAcquireCount()) })
}
