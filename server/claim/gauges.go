package claim

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wakelatch/wakelatch/sql/db"
)

// maxTenants bounds the label tenant: those with most active claims are named, the rest is otherTenants.
const (
	maxTenants   = 50
	otherTenants = "other"
)

// maxViolations bounds what the consistency query returns.
const maxViolations = 1000

// violationAfter is how long work may be on its way before the consistency query misses it.
const violationAfter = 5 * time.Second

// Invariants that the consistency query can see broken.
var invariants = []string{"I1", "I2", "I4", "I5", "I8"}

// Gauges show the whole database, the same on every node: they come from one query each interval and not
// from each scrape. Until the first query they show nothing, so an absent gauge never reads as zero.
type Gauges struct {
	pool     *pgxpool.Pool
	interval time.Duration
	logger   *slog.Logger
	queries  *db.Queries
	current  atomic.Pointer[reading]
}

type reading struct {
	tenants    map[string]int64
	oldest     float64
	releasing  int64
	pending    int64
	parked     int64
	violations map[string]int64
}

var (
	descActive     = prometheus.NewDesc("wakelatch_claims_active", "Active claims in the database, by tenant; the same on every node.", []string{"tenant"}, nil)
	descOldest     = prometheus.NewDesc("wakelatch_claims_oldest_active_age_seconds", "Age of the oldest active claim; 0 without one; the same on every node.", nil, nil)
	descReleasing  = prometheus.NewDesc("wakelatch_claims_releasing", "Active claims whose done is recorded and whose release is under way; the same on every node.", nil, nil)
	descPending    = prometheus.NewDesc("wakelatch_entities_pending_without_wake", "Entities with pending work, no claim and no wake out, those backing off included and those parked not; the same on every node.", nil, nil)
	descParked     = prometheus.NewDesc("wakelatch_entities_parked", "Entities with pending work that are parked until an operator un-parks them; the same on every node.", nil, nil)
	descViolations = prometheus.NewDesc("wakelatch_invariant_violations", "Rows that break an invariant, as the consistency query finds them; the same on every node.", []string{"invariant"}, nil)
)

// NewGauges registers the gauges; Run fills them.
func NewGauges(pool *pgxpool.Pool, interval time.Duration, logger *slog.Logger, reg prometheus.Registerer) *Gauges {
	g := &Gauges{pool: pool, interval: interval, logger: logger.With("component", "gauges"), queries: db.New()}
	reg.MustRegister(g)
	return g
}

// Run reads the database every interval until ctx ends. A reading that fails leaves the last one.
func (g *Gauges) Run(ctx context.Context) error {
	ticker := time.NewTicker(g.interval)
	defer ticker.Stop()
	for {
		if r, err := g.read(ctx); err == nil {
			g.current.Store(r)
		} else if ctx.Err() == nil {
			g.logger.WarnContext(ctx, "gauges keep their last values", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (g *Gauges) read(ctx context.Context) (*reading, error) {
	claims, err := g.queries.ActiveClaimsByTenant(ctx, g.pool)
	if err != nil {
		return nil, fmt.Errorf("count active claims: %w", err)
	}
	r := &reading{tenants: map[string]int64{}, violations: map[string]int64{}}
	for i, c := range claims {
		tenant := c.TenantID
		if i >= maxTenants {
			tenant = otherTenants
		}
		r.tenants[tenant] += c.Claims
		r.oldest = max(r.oldest, c.OldestSeconds)
		r.releasing += c.Releasing
	}
	waiting, err := g.queries.PendingWithoutWake(ctx, g.pool)
	if err != nil {
		return nil, fmt.Errorf("count pending entities: %w", err)
	}
	r.pending, r.parked = waiting.Entities, waiting.Parked
	violations, err := Violations(ctx, g.pool)
	if err != nil {
		return nil, err
	}
	for _, invariant := range invariants {
		r.violations[invariant] = 0
	}
	for _, v := range violations {
		r.violations[v.Invariant]++
	}
	return r, nil
}

// Describe implements prometheus.Collector.
func (g *Gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descActive, descOldest, descReleasing, descPending, descParked, descViolations} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *Gauges) Collect(ch chan<- prometheus.Metric) {
	r := g.current.Load()
	if r == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for tenant, n := range r.tenants {
		gauge(descActive, float64(n), tenant)
	}
	gauge(descOldest, r.oldest)
	gauge(descReleasing, float64(r.releasing))
	gauge(descPending, float64(r.pending))
	gauge(descParked, float64(r.parked))
	for invariant, n := range r.violations {
		gauge(descViolations, float64(n), invariant)
	}
}

// Violation is a row that breaks an invariant.
type Violation = db.ViolationsRow

// Violations runs the consistency query.
func Violations(ctx context.Context, pool *pgxpool.Pool) ([]Violation, error) {
	rows, err := db.New().Violations(ctx, pool, db.ViolationsParams{OverdueMs: violationAfter.Milliseconds(), MaxRows: maxViolations})
	if err != nil {
		return nil, fmt.Errorf("run the consistency query: %w", err)
	}
	return rows, nil
}
