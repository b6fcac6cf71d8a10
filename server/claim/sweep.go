package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// sweep looks, every interval or when nudged, for what no request will come back for: leases that ended,
// dones whose job is late, work whose backoff is over, wakes that nobody claimed. Every node sweeps; rows
// that another one holds are left to it. A sweep that fails is logged and tried again.
func (s *Service) sweep(ctx context.Context) error {
	ticker := time.NewTicker(s.SweepInterval)
	defer ticker.Stop()
	for {
		if err := s.SweepOnce(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "sweep did not finish; the next one tries again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.nudge:
		}
	}
}

// SweepOnce is one turn of the sweep.
func (s *Service) SweepOnce(ctx context.Context) error {
	return errors.Join(
		untilDrained(ctx, s.armWaiting),
		untilDrained(ctx, s.expire),
		untilDrained(ctx, s.releaseOverdue),
		untilDrained(ctx, s.emitDue),
	)
}

// untilDrained repeats a step while it finds a full batch and gets on with it.
func untilDrained(ctx context.Context, step func(context.Context) (more bool, err error)) error {
	for {
		more, err := step(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// noteSweep records that a sweep happens. After a gap in which no node swept, every lease that had not
// ended when the gap began gets a whole lease more: nobody is expired because we were away.
func (s *Service) noteSweep(ctx context.Context) error {
	return pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		sweep, err := s.queries.AdvanceSweep(ctx, tx, s.graceMs())
		if err != nil || !sweep.Gap {
			return err
		}
		if err := s.queries.LockLeasesAliveAt(ctx, tx, sweep.Previous); err != nil {
			return err
		}
		extended, err := s.queries.ExtendLeasesAliveAt(ctx, tx, db.ExtendLeasesAliveAtParams{
			Since: sweep.Previous, LeaseMs: s.Lease.Milliseconds(),
		})
		if err == nil && extended > 0 {
			s.Logger.InfoContext(ctx, "no node swept for a while; living leases are extended",
				"last_sweep_at", sweep.Previous, "leases", extended)
		}
		return err
	})
}

// expire notes the sweep before each batch: a long row of batches is no outage of ours.
func (s *Service) expire(ctx context.Context) (more bool, err error) {
	if err := s.noteSweep(ctx); err != nil {
		return false, fmt.Errorf("note the sweep: %w", err)
	}
	rows, err := s.queries.PickExpired(ctx, s.Pool, args.MaxClaims)
	if err != nil {
		return false, fmt.Errorf("pick expired leases: %w", err)
	}
	picked := make([]args.Claim, len(rows))
	for i, r := range rows {
		picked[i] = args.Claim{Tenant: r.TenantID, Consumer: r.ConsumerID, Epoch: r.Epoch, Stream: r.StreamPath}
	}
	return s.sweepClaims(ctx, picked, Release{Cause: CauseExpired, By: BySweep, Actor: "system:sweep"})
}

func (s *Service) releaseOverdue(ctx context.Context) (more bool, err error) {
	rows, err := s.queries.PickOverdue(ctx, s.Pool, db.PickOverdueParams{
		OverdueMs: s.Overdue.Milliseconds(), MaxRows: args.MaxClaims,
	})
	if err != nil {
		return false, fmt.Errorf("pick overdue claims: %w", err)
	}
	picked := make([]args.Claim, len(rows))
	for i, r := range rows {
		picked[i] = args.Claim{Tenant: r.TenantID, Consumer: r.ConsumerID, Epoch: r.Epoch, Stream: r.StreamPath}
	}
	return s.sweepClaims(ctx, picked, Release{Cause: CauseDone, By: BySweep, Actor: "system:sweep"})
}

// sweepClaims releases the picked claims together or, if that fails, one by one, so that one bad claim does
// not hold up the others. A database that is away is left to the next turn.
func (s *Service) sweepClaims(ctx context.Context, picked []args.Claim, r Release) (more bool, err error) {
	ended, err := s.sweepTogether(ctx, picked, r)
	if err != nil && len(picked) > 1 && !pg.IsUnavailable(err) {
		errs := []error{err}
		for _, c := range picked {
			n, err := s.sweepTogether(ctx, []args.Claim{c}, r)
			ended += n
			if errs = append(errs, err); pg.IsUnavailable(err) {
				break
			}
		}
		err = errors.Join(errs...)
	}
	if err != nil {
		return false, fmt.Errorf("sweep %d claims (%s): %w", len(picked), r.Cause, err)
	}
	return ended > 0 && len(picked) == args.MaxClaims, nil
}

// sweepTogether releases those of the picked claims whose dispatch row and whose own row nobody else holds: a
// claim is held by an agent whose own transaction writes under it (docs/fencing.md), and the turn after that
// transaction ends it. The statement decides again under the locks whether a claim ends.
func (s *Service) sweepTogether(ctx context.Context, picked []args.Claim, r Release) (ended int, err error) {
	if len(picked) == 0 {
		return 0, nil
	}
	var done *Released
	err = pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		free, err := s.lockFree(ctx, tx, candidatesOf(picked))
		if err != nil {
			return err
		}
		var of []args.Claim
		for _, c := range picked {
			if entityURL, _ := EntityURL(c.Stream); free[entityKey{c.Tenant, entityURL}] {
				of = append(of, c)
			}
		}
		if r.Claims, err = s.lockFreeClaims(ctx, tx, of); err != nil || len(r.Claims) == 0 {
			return err
		}
		var p pg.Pipeline
		done = s.QueueRelease(&p, r)
		return p.Run(ctx, tx)
	})
	if err != nil || done == nil {
		return 0, err
	}
	s.Announce(ctx, done)
	return done.ended(), nil
}

type entityKey struct{ tenant, url string }

// lockFree locks the dispatch rows that no other transaction holds and says which these are.
func (s *Service) lockFree(ctx context.Context, tx pgx.Tx, candidates []Candidate) (map[entityKey]bool, error) {
	c := candidateColumns(candidates)
	rows, err := s.queries.LockDispatchSkipLocked(ctx, tx, db.LockDispatchSkipLockedParams{
		TenantIDs: c.tenants, EntityURLs: c.urls,
	})
	if err != nil {
		return nil, err
	}
	free := make(map[entityKey]bool, len(rows))
	for _, r := range rows {
		free[entityKey{r.TenantID, r.EntityURL}] = true
	}
	return free, nil
}

// lockFreeClaims locks the claims that no other transaction holds and returns these.
func (s *Service) lockFreeClaims(ctx context.Context, tx pgx.Tx, claims []args.Claim) ([]args.Claim, error) {
	k := columnsOf(claims, keyOf)
	rows, err := s.queries.LockClaimsSkipLocked(ctx, tx, db.LockClaimsSkipLockedParams{
		TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs,
	})
	if err != nil {
		return nil, err
	}
	held := make(map[Key]bool, len(rows))
	for _, r := range rows {
		held[Key{Tenant: r.TenantID, Consumer: r.ConsumerID, Epoch: r.Epoch}] = true
	}
	return slices.DeleteFunc(claims, func(c args.Claim) bool { return !held[keyOf(c)] }), nil
}

// emitDue arms what may be tried again and appends again the wakes that nobody claimed.
func (s *Service) emitDue(ctx context.Context) (more bool, err error) {
	due, err := s.queries.PickDue(ctx, s.Pool, args.MaxClaims)
	if err != nil {
		return false, fmt.Errorf("pick due wakes: %w", err)
	}
	if len(due) == 0 {
		return false, nil
	}
	var locked []Candidate
	var again []db.EmitAgainRow
	armed := &Armed{}
	err = pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		candidates := make([]Candidate, len(due))
		for i, d := range due {
			candidates[i] = Candidate{Tenant: d.TenantID, EntityURL: d.EntityURL, WakeID: NewWakeID()}
		}
		free, err := s.lockFree(ctx, tx, candidates)
		if err != nil {
			return err
		}
		for _, c := range candidates {
			if free[entityKey{c.Tenant, c.EntityURL}] {
				locked = append(locked, c)
			}
		}
		c := candidateColumns(locked)
		again, err = s.queries.EmitAgain(ctx, tx, db.EmitAgainParams{
			TenantIDs: c.tenants, EntityURLs: c.urls,
			EmitAgainMs: emitAgainAfter.Milliseconds(), EmitAgainMaxMs: emitAgainMax.Milliseconds(),
		})
		if err != nil {
			return err
		}
		var p pg.Pipeline
		arm(&p, s.queries, c, armed)
		emit(&p, s.queries, candidateColumns(append(outstanding(again), locked...)), armed)
		return p.Run(ctx, tx)
	})
	if err != nil {
		return false, fmt.Errorf("emit %d due wakes: %w", len(due), err)
	}
	s.metrics.emittedAgain.Add(float64(len(outstanding(again))))
	s.AnnounceArmed(armed)
	return len(locked) == args.MaxClaims, nil
}

func outstanding(again []db.EmitAgainRow) []Candidate {
	var wakes []Candidate
	for _, r := range again {
		if r.WakeID != "" {
			wakes = append(wakes, Candidate{Tenant: r.TenantID, EntityURL: r.EntityURL, WakeID: r.WakeID})
		}
	}
	return wakes
}
