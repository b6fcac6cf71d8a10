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
// transaction may still commit that has not seen the change, at those again. The first look is at all of them.
func (s *Service) armWaiting(ctx context.Context) (more bool, err error) {
	since := time.Unix(0, 0)
	if last := s.waiting.Load(); last != nil {
		since = last.Add(-reconcileOverlap)
	}
	var now time.Time
	var waiting []db.PickWaitingRow
	var look pg.Pipeline
	look.Exec(func(ctx context.Context, conn pg.Conn) (err error) {
		now, err = s.queries.DatabaseNow(ctx, conn)
		return err
	})
	pg.Many(&look, &waiting, func(ctx context.Context, conn pg.Conn) ([]db.PickWaitingRow, error) {
		return s.queries.PickWaiting(ctx, conn, db.PickWaitingParams{Since: since, MaxRows: args.MaxClaims})
	})
	if err := look.Run(ctx, s.Pool); err != nil {
		return false, fmt.Errorf("pick work that waits for its runner: %w", err)
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
