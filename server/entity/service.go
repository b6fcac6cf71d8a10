package entity

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/db"
)

// Options are what a Service needs. Durations left zero take the defaults.
type Options struct {
	Pool       *pgxpool.Pool
	Claims     *claim.Service
	Jobs       Inserter
	Hub        *stream.Hub
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	LongPoll time.Duration // how long Wait waits; 25 s
	RideOut  time.Duration // how long a database that is away is not seen by senders; 10 s
}

// Service is the entities of one database. Its methods may be called from many goroutines.
type Service struct {
	Options
	queries *db.Queries
	metrics *metrics
	sends   *batch.Batcher[message, db.SendMessagesRow]
}

// New makes a Service; Run starts its flusher.
func New(o Options) *Service {
	if o.LongPoll == 0 {
		o.LongPoll = 25 * time.Second
	}
	if o.RideOut == 0 {
		o.RideOut = 10 * time.Second
	}
	s := &Service{Options: o, queries: db.New(), metrics: newMetrics(o.Registerer)}
	s.Logger = s.Logger.With("component", "entity")
	s.sends = batch.New(s.flushSends, batch.Options[message]{
		Name: "send", RideOut: o.RideOut, Classify: claim.Classify, Registerer: o.Registerer,
	})
	return s
}

// Run flushes sends until ctx ends; then it answers what is queued.
func (s *Service) Run(ctx context.Context) error { return s.sends.Run(ctx) }
