package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Options are what a Service needs.
type Options struct {
	Pool       *pgxpool.Pool
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	// Claims is how long a claim and its events are kept after it ended.
	Claims time.Duration
	// History is how long actions on entities and runners are kept.
	History time.Duration
	// Wakes is how long the events of a wake stream are kept at least; they also wait for the runner to read them.
	Wakes time.Duration
	// Interval is the time between two turns; 1 min.
	Interval time.Duration
}

// Service removes what is past its age.
type Service struct {
	Options
	queries *db.Queries
	metrics *metrics
}

// New makes a Service; Run does its work.
func New(o Options) *Service {
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	s := &Service{Options: o, queries: db.New(), metrics: newMetrics(o.Registerer)}
	s.Logger = s.Logger.With("component", "retention")
	return s
}

const (
	// What a turn does is bounded by maxRounds. What it leaves is old, and nobody waits for it.
	maxRounds = 1000
	// The pause after a batch is restFactor times as long as the batch.
	restFactor = 4
)

// Run takes a turn every interval until ctx ends. The first comes after a random part of the interval, so that nodes which
// start together do not go on together. A turn that fails is logged and made good by the next.
func (s *Service) Run(ctx context.Context) error {
	timer := time.NewTimer(rand.N(s.Interval)) //nolint:gosec // jitter is no secret
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := s.Turn(ctx); err != nil && ctx.Err() == nil {
			s.metrics.failures.Inc()
			s.Logger.WarnContext(ctx, "what is past its age was not all removed; the next turn goes on", "error", err)
		}
		timer.Reset(s.Interval)
	}
}

// step removes one batch and says whether there may be more.
type step func(ctx context.Context) (more bool, err error)

// Turn removes what is past its age, in rounds of one batch a table. A table that fails is left for the
// next turn and does not hold up the others.
func (s *Service) Turn(ctx context.Context) error {
	var failed []error
	steps := s.steps()
	for range maxRounds {
		var left []step
		for _, remove := range steps {
			start := time.Now()
			more, err := remove(ctx)
			if err != nil {
				if failed = append(failed, err); pg.IsUnavailable(err) || ctx.Err() != nil {
					return errors.Join(failed...)
				}
				continue
			}
			if more {
				left = append(left, remove)
				if err := rest(ctx, restFactor*time.Since(start)); err != nil {
					return err
				}
			}
		}
		if steps = left; len(steps) == 0 {
			break
		}
	}
	if len(failed) == 0 {
		s.metrics.finished.SetToCurrentTime()
	}
	return errors.Join(failed...)
}

// steps are the tables whose age is set, each from its beginning.
func (s *Service) steps() []step {
	var all []step
	if s.Claims > 0 {
		all = append(all, s.claims())
	}
	if s.History > 0 {
		all = append(all, s.actions())
	}
	if s.Wakes > 0 {
		all = append(all, s.wakes())
	}
	return all
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("rest after a batch: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}
