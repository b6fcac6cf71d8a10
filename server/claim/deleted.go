package claim

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Causes of a release that takes the claim from its holder, because what it is a claim of, or the runner it was
// made by, is deleted.
const (
	CauseDeleted       Cause = "deleted"
	CauseRunnerDeleted Cause = "runner_deleted"
)

// RunnerRelease takes a runner's claims from it.
type RunnerRelease struct {
	Tenant   string
	RunnerID string
	Cause    Cause
	Actor    string
	Reason   string
}

// ReleaseRunner ends every active claim of a runner, a batch a transaction. The caller sees to it that the runner
// gets no new one meanwhile.
func (s *Service) ReleaseRunner(ctx context.Context, r RunnerRelease) error {
	for {
		var rows []db.ActiveClaimsOfRunnerRow
		err := pg.RideOut(ctx, s.RideOut, func(ctx context.Context) (err error) {
			rows, err = s.queries.ActiveClaimsOfRunner(ctx, s.Pool, db.ActiveClaimsOfRunnerParams{
				TenantID: r.Tenant, RunnerID: r.RunnerID, MaxRows: args.MaxClaims,
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("list active claims of runner %q: %w", r.RunnerID, err)
		}
		if len(rows) == 0 {
			return nil
		}
		claims := make([]args.Claim, len(rows))
		for i, row := range rows {
			claims[i] = args.Claim{Tenant: r.Tenant, Consumer: row.ConsumerID, Epoch: row.Epoch, Stream: row.StreamPath}
		}
		if err := s.releaseNow(ctx, Release{Claims: claims, Cause: r.Cause, By: ByAdmin, Actor: r.Actor, Reason: r.Reason}); err != nil {
			return fmt.Errorf("release %d claims of runner %q: %w", len(claims), r.RunnerID, err)
		}
	}
}

func (s *Service) releaseNow(ctx context.Context, r Release) error {
	var done *Released
	err := pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		var p pg.Pipeline
		done = s.QueueRelease(&p, r)
		return p.Run(ctx, s.Pool)
	})
	if err != nil {
		return err
	}
	s.Announce(ctx, done)
	return nil
}
