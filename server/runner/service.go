package runner

import (
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/db"
)

// Defaults of [Options].
const (
	DefaultClaimLease    = 30 * time.Second
	DefaultSweepInterval = time.Second
	DefaultRideOut       = 10 * time.Second
)

// Options are what a Service needs of the rest of a node.
type Options struct {
	// Pool is the database. Required.
	Pool *pgxpool.Pool
	// Log gets one line for every change of a registration. Required.
	Log *slog.Logger
	// Claims releases what a deleted runner holds. Required for Delete.
	Claims *claim.Service
	// Nudge makes the sweep look at once for wakes that are due; nil leaves them to its next turn.
	Nudge func()
	// ClaimLease is how long a claim lives without a heartbeat; 0 means DefaultClaimLease.
	ClaimLease time.Duration
	// SweepInterval is the time between two sweeps; 0 means DefaultSweepInterval.
	SweepInterval time.Duration
	// RideOut is how long an operation waits for a database that is away; 0 means DefaultRideOut.
	RideOut time.Duration
}

// Service keeps the runners of every tenant. It may be used by any number of goroutines.
type Service struct {
	pool          *pgxpool.Pool
	queries       *db.Queries
	log           *slog.Logger
	claims        *claim.Service
	nudge         func()
	claimLease    time.Duration
	sweepInterval time.Duration
	rideOut       time.Duration
}

// New makes a Service. It starts nothing.
func New(o Options) *Service {
	s := &Service{
		pool: o.Pool, queries: db.New(), log: o.Log.With("component", "runner"), claims: o.Claims, nudge: o.Nudge,
		claimLease: o.ClaimLease, sweepInterval: o.SweepInterval, rideOut: o.RideOut,
	}
	if s.nudge == nil {
		s.nudge = func() {}
	}
	if s.claimLease == 0 {
		s.claimLease = DefaultClaimLease
	}
	if s.sweepInterval == 0 {
		s.sweepInterval = DefaultSweepInterval
	}
	if s.rideOut == 0 {
		s.rideOut = DefaultRideOut
	}
	return s
}
