package claim

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Inserter inserts the job that releases claims, in the transaction that recorded their dones.
type Inserter interface {
	InsertRelease(ctx context.Context, tx pgx.Tx, release args.ReleaseClaims) error
}

// Options are what a Service needs. Durations left zero take the defaults.
type Options struct {
	Pool       *pgxpool.Pool
	Jobs       Inserter
	View       *token.View
	Keyring    *token.Keyring
	Announcer  Announcer
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	Lease         time.Duration // how long a claim lives without a heartbeat; 30 s
	SweepInterval time.Duration // 1 s
	SweepDisabled bool          // this node never sweeps; tests prove the job path alone with it
	Overdue       time.Duration // how long after its done a claim is left to its job; 5 s
	Backoff       time.Duration // the first wait after a failure, doubling; 500 ms
	BackoffMax    time.Duration // 5 min
	ParkAfter     int           // so many failures in a row park the entity; 0 is DefaultParkAfter, below 0 never
	RideOut       time.Duration // how long a database that is away is not seen by callers; 10 s
}

func (o Options) withDefaults() Options {
	setDefault(&o.Lease, 30*time.Second)
	setDefault(&o.SweepInterval, time.Second)
	setDefault(&o.Overdue, 5*time.Second)
	setDefault(&o.Backoff, 500*time.Millisecond)
	setDefault(&o.BackoffMax, 5*time.Minute)
	setDefault(&o.RideOut, 10*time.Second)
	if o.ParkAfter == 0 {
		o.ParkAfter = DefaultParkAfter
	}
	return o
}

// DefaultParkAfter is reached, with the default backoff, after most of an hour of nothing but failures: an
// outage of what agents depend on parks nobody, and a message that no agent can handle does not cost claims for ever.
const DefaultParkAfter = 20

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// graceGaps is how many sweep intervals may pass without a sweep of any node before the gap counts as an
// outage of ours, after which living leases are extended instead of expired.
const graceGaps = 3

// Service is the claim lifecycle on one database. Its methods may be called from many goroutines.
type Service struct {
	Options
	queries *db.Queries
	metrics *metrics
	nudge   chan struct{}
	waiting atomic.Pointer[time.Time] // up to when armWaiting has looked, by the database's clock

	claims     *batch.Batcher[ClaimRequest, claimed]
	confirms   *batch.Batcher[confirmation, db.ConfirmClaimRow]
	heartbeats *batch.Batcher[Key, heartbeat]
	dones      *batch.Batcher[DoneRequest, db.RecordDonesRow]
}

// New makes a Service; Run starts its flushers and its sweep.
func New(o Options) *Service {
	s := &Service{
		Options: o.withDefaults(),
		queries: db.New(),
		metrics: newMetrics(o.Registerer),
		nudge:   make(chan struct{}, 1),
	}
	s.Logger = s.Logger.With("component", "claim")
	s.claims = newBatcher("claim", &s.Options, s.flushClaims)
	s.confirms = newBatcher("confirm", &s.Options, s.flushConfirms)
	s.heartbeats = newBatcher("heartbeat", &s.Options, s.flushHeartbeats)
	s.dones = newBatcher("done", &s.Options, s.flushDones)
	return s
}

// Run flushes batches and sweeps until ctx ends; then it answers what is queued.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.claims.Run(ctx) })
	g.Go(func() error { return s.confirms.Run(ctx) })
	g.Go(func() error { return s.heartbeats.Run(ctx) })
	g.Go(func() error { return s.dones.Run(ctx) })
	if !s.SweepDisabled {
		g.Go(func() error { return s.sweep(ctx) })
	}
	return g.Wait()
}

// Nudge makes the next sweep happen at once: something became due.
func (s *Service) Nudge() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// parkAfter is ParkAfter as the statement takes it, 0 for never.
func (s *Service) parkAfter() int32 { return int32(max(s.ParkAfter, 0)) } //nolint:gosec // a count of failures

func (s *Service) graceMs() int64 { return graceGaps * s.SweepInterval.Milliseconds() }

// Classify says how a batch answers an error of the database.
func Classify(err error) batch.Class {
	switch {
	case pg.IsContention(err):
		return batch.Alone
	case pg.IsUnavailable(err):
		return batch.Transient
	}
	return batch.Fatal
}

func lockClaims(p *pg.Pipeline, q *db.Queries, k keyColumns) {
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockClaims(ctx, conn, db.LockClaimsParams{TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs})
	})
}

func lockLeases(p *pg.Pipeline, q *db.Queries, k keyColumns) {
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockLeases(ctx, conn, db.LockLeasesParams{TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs})
	})
}

func lockStreamsOfClaims(p *pg.Pipeline, q *db.Queries, k keyColumns) {
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockStreamsOfClaims(ctx, conn, db.LockStreamsOfClaimsParams{
			TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs,
		})
	})
}

func newBatcher[In, Out any](name string, o *Options, flush batch.Flush[In, Out]) *batch.Batcher[In, Out] {
	return batch.New(flush, batch.Options[In]{
		Name: name, RideOut: o.RideOut, Classify: Classify, Registerer: o.Registerer,
	})
}
