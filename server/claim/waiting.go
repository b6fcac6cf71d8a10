package claim

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// armWaiting arms what waited for its runner: work is armed only for a runner that is enabled, so whoever enables one
// leaves its entities to this. It looks at the runners that changed since the last look and, for as long as a
// transaction may still commit that has not seen the change, at those again. The first look goes back to the last sweep
// of any node, so it comes before this one's is noted.
func (s *Service) armWaiting(ctx context.Context) (more bool, err error) {
	now, runners, err := s.changedRunners(ctx)
	if err != nil {
		return false, fmt.Errorf("list runners that changed: %w", err)
	}
	var waiting []db.PickWaitingRow
	if len(runners) > 0 {
		arg := db.PickWaitingParams{MaxRows: args.MaxClaims}
		for _, r := range runners {
			arg.TenantIDs, arg.RunnerIDs = append(arg.TenantIDs, r.TenantID), append(arg.RunnerIDs, r.ID)
		}
		if waiting, err = s.queries.PickWaiting(ctx, s.Pool, arg); err != nil {
			return false, fmt.Errorf("pick work that waits for its runner: %w", err)
		}
	}
	if len(waiting) == 0 {
		s.waiting.Store(&now)
		return false, nil
	}
	armed, err := s.armFree(ctx, waiting)
	if err != nil {
		return false, fmt.Errorf("arm %d entities that waited for their runner: %w", len(waiting), err)
	}
	s.AnnounceArmed(armed)
	return len(armed.Wakes) > 0 && len(waiting) == args.MaxClaims, nil
}

// changedRunners are those to look at, as of now.
func (s *Service) changedRunners(ctx context.Context) (now time.Time, runners []db.ChangedRunnersRow, err error) {
	since := s.waiting.Load()
	if since == nil {
		last, err := s.queries.LastSweep(ctx, s.Pool)
		if err != nil {
			return now, nil, err
		}
		// Kept until nothing waits: this node's own sweep moves the last one on.
		since = &last
		s.waiting.Store(since)
	}
	var p pg.Pipeline
	p.Exec(func(ctx context.Context, conn pg.Conn) (err error) {
		now, err = s.queries.DatabaseNow(ctx, conn)
		return err
	})
	pg.Many(&p, &runners, func(ctx context.Context, conn pg.Conn) ([]db.ChangedRunnersRow, error) {
		return s.queries.ChangedRunners(ctx, conn, since.Add(-reconcileOverlap))
	})
	return now, runners, p.Run(ctx, s.Pool)
}

// armFree arms those entities whose dispatch row nobody else holds.
func (s *Service) armFree(ctx context.Context, waiting []db.PickWaitingRow) (armed *Armed, err error) {
	err = pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		candidates := make([]Candidate, len(waiting))
		for i, w := range waiting {
			candidates[i] = Candidate{Tenant: w.TenantID, EntityURL: w.EntityURL, WakeID: NewWakeID()}
		}
		free, err := s.lockFree(ctx, tx, candidates)
		if err != nil {
			return err
		}
		var locked []Candidate
		for _, c := range candidates {
			if free[entityKey{c.Tenant, c.EntityURL}] {
				locked = append(locked, c)
			}
		}
		var p pg.Pipeline
		armed = Arm(&p, s.queries, locked)
		return p.Run(ctx, tx)
	})
	return armed, err
}
