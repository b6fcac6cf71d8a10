package runner

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// DeleteRequest removes a runner. Actor and reason go into the history.
type DeleteRequest struct {
	Tenant string
	ID     string
	Actor  string
	Reason string
}

// How many outstanding wakes one statement of a deletion takes back.
const clearRows = 500

// Delete removes a runner. It is disabled first, so that it gets nothing more; then its claims are released by force,
// its outstanding wakes taken back and its wake stream emptied, each in batches; its registration goes last. A deletion
// that is cut short leaves a disabled runner, and deleting it again goes on from there. Its entities keep their
// policy: their work waits until a runner of the id is registered again, or they are moved.
func (s *Service) Delete(ctx context.Context, r DeleteRequest) error {
	for {
		if _, err := s.SetAdminStatus(ctx, StatusRequest{
			Tenant: r.Tenant, ID: r.ID, Status: Disabled, Actor: r.Actor, Reason: r.Reason,
		}); err != nil {
			return err
		}
		if err := s.takeBack(ctx, r); err != nil {
			return err
		}
		removed, err := s.remove(ctx, r)
		if err != nil {
			return fmt.Errorf("delete runner %q, which is disabled now; delete it again: %w", r.ID, err)
		}
		if removed {
			s.log.InfoContext(ctx, "runner deleted", "tenant_id", r.Tenant, "runner_id", r.ID)
			return nil
		}
		// It was enabled meanwhile, or another deletion was faster, which the next turn finds.
	}
}

// takeBack leaves a disabled runner without anything. Its wakes come first: taking them back waits for a claim that
// is under way, which the claims then show.
func (s *Service) takeBack(ctx context.Context, r DeleteRequest) error {
	if err := s.clearOutstanding(ctx, r); err != nil {
		return fmt.Errorf("take back the wakes of runner %q: %w", r.ID, err)
	}
	if err := s.claims.ReleaseRunner(ctx, claim.RunnerRelease{
		Tenant: r.Tenant, RunnerID: r.ID, Cause: claim.CauseRunnerDeleted, Actor: r.Actor, Reason: r.Reason,
	}); err != nil {
		return err
	}
	var found []db.GetStreamRow
	key := stream.Key{Tenant: r.Tenant, Path: stream.Path(WakeStreamPath(r.ID))}
	err := pg.RideOut(ctx, s.rideOut, func(ctx context.Context) (err error) {
		found, err = s.queries.GetStream(ctx, s.pool, db.GetStreamParams{TenantID: key.Tenant, Path: string(key.Path)})
		return err
	})
	if err == nil && len(found) > 0 {
		err = stream.Empty(ctx, s.pool, s.rideOut, key, found[0].Generation)
	}
	if err != nil {
		return fmt.Errorf("empty the wake stream of runner %q: %w", r.ID, err)
	}
	return nil
}

func (s *Service) clearOutstanding(ctx context.Context, r DeleteRequest) error {
	for {
		var n int64
		err := pg.RideOut(ctx, s.rideOut, func(ctx context.Context) (err error) {
			n, err = s.queries.ClearOutstandingOfRunner(ctx, s.pool, db.ClearOutstandingOfRunnerParams{
				TenantID: r.Tenant, RunnerID: r.ID, MaxRows: clearRows,
			})
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

func (s *Service) remove(ctx context.Context, r DeleteRequest) (removed bool, err error) {
	action := newActionID()
	attempts, n := 0, int64(0)
	err = pg.RideOut(ctx, s.rideOut, func(ctx context.Context) (err error) {
		attempts++
		n, err = s.queries.RemoveRunner(ctx, s.pool, db.RemoveRunnerParams{
			TenantID: r.Tenant, ID: r.ID, ActionID: action, Actor: r.Actor, Reason: r.Reason,
		})
		return err
	})
	if err != nil || n > 0 || attempts == 1 {
		return n > 0, err
	}
	// The answer to an attempt was lost: either it removed the runner, or there is one still.
	found, err := s.queries.GetRunner(ctx, s.pool, db.GetRunnerParams{TenantID: r.Tenant, ID: r.ID})
	return len(found) == 0, err
}
