package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

var descJobs = prometheus.NewDesc("wakelatch_jobs", "Jobs that are not finished, by queue and state; the same on every node.", []string{"queue", "state"}, nil)

// Gauges show the queues. They come from one query each interval, not from each scrape.
type Gauges struct {
	pool     *pgxpool.Pool
	interval time.Duration
	logger   *slog.Logger
	current  atomic.Pointer[[]depth]
}

type depth struct {
	Queue string
	State string
	Jobs  int64
}

// NewGauges registers the gauges; Run fills them.
func NewGauges(pool *pgxpool.Pool, interval time.Duration, logger *slog.Logger, reg prometheus.Registerer) *Gauges {
	g := &Gauges{pool: pool, interval: interval, logger: logger.With("component", "jobs")}
	reg.MustRegister(g)
	return g
}

// Run reads the queues every interval until ctx ends. A reading that fails leaves the last one.
func (g *Gauges) Run(ctx context.Context) error {
	ticker := time.NewTicker(g.interval)
	defer ticker.Stop()
	for {
		if depths, err := g.read(ctx); err == nil {
			g.current.Store(&depths)
		} else if ctx.Err() == nil {
			g.logger.WarnContext(ctx, "queue gauges keep their last values", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// read returns every queue in every unfinished state, empty ones included.
func (g *Gauges) read(ctx context.Context) ([]depth, error) {
	rows, err := g.pool.Query(ctx, `
		SELECT q.name AS queue, s.state, (
			SELECT count(*) FROM public.river_job j WHERE j.queue = q.name AND j.state = s.state::public.river_job_state) AS jobs
		FROM public.river_queue q, (VALUES ('available'), ('running'), ('retryable'), ('scheduled'), ('discarded')) s (state)`)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	depths, err := pgx.CollectRows(rows, pgx.RowToStructByPos[depth])
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	return depths, nil
}

// Describe implements prometheus.Collector.
func (g *Gauges) Describe(ch chan<- *prometheus.Desc) { ch <- descJobs }

// Collect implements prometheus.Collector.
func (g *Gauges) Collect(ch chan<- prometheus.Metric) {
	depths := g.current.Load()
	if depths == nil {
		return
	}
	for _, d := range *depths {
		ch <- prometheus.MustNewConstMetric(descJobs, prometheus.GaugeValue, float64(d.Jobs), d.Queue, d.State)
	}
}
