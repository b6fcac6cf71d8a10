package runner

import (
	"context"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// change is one transaction that alters a runner and may make its outstanding wakes due at once.
type change struct {
	tenant, id string
	// owner limits the wakes to a runner of this principal; "" is any.
	owner string
	// ifBack limits the wakes to a runner whose liveness lease had ended.
	ifBack bool
	// arms says that work may have waited for this change: the sweep looks for it at once.
	arms bool
	// steps run after the wakes of a runner that comes back are found due, which only the row from before
	// the heartbeat can tell, and before those of one that registers or is enabled.
	steps []func(ctx context.Context, conn pg.Conn) error
}

// change runs c as one pipeline and returns the runner as it is afterwards. The dispatch rows are locked
// first, by a statement of their own.
func (s *Service) change(ctx context.Context, c change) (Runner, error) {
	var (
		rows    []db.GetRunnerRow
		emitted int64
	)
	emit := func(ctx context.Context, conn pg.Conn) (err error) {
		emitted, err = s.queries.EmitOutstandingAgain(ctx, conn, db.EmitOutstandingAgainParams{
			TenantID: c.tenant, RunnerID: c.id, OwnerPrincipal: c.owner, IfBack: c.ifBack,
		})
		return err
	}
	var pipeline pg.Pipeline
	pipeline.Exec(func(ctx context.Context, conn pg.Conn) error {
		return s.queries.LockOutstandingOfRunner(ctx, conn, db.LockOutstandingOfRunnerParams{
			TenantID: c.tenant, RunnerID: c.id, IfBack: c.ifBack,
		})
	})
	if c.ifBack {
		pipeline.Exec(emit)
	}
	for _, step := range c.steps {
		pipeline.Exec(step)
	}
	if !c.ifBack {
		pipeline.Exec(emit)
	}
	pg.Many(&pipeline, &rows, func(ctx context.Context, conn pg.Conn) ([]db.GetRunnerRow, error) {
		return s.queries.GetRunner(ctx, conn, db.GetRunnerParams{TenantID: c.tenant, ID: c.id})
	})
	if err := pg.RideOut(ctx, s.rideOut, func(ctx context.Context) error { return pipeline.Run(ctx, s.pool) }); err != nil {
		return Runner{}, err
	}
	if len(rows) == 0 {
		return Runner{}, ErrNotFound
	}
	if emitted > 0 || c.arms && AdminStatus(rows[0].AdminStatus) == Enabled {
		s.nudge()
	}
	return fromRow(rows[0])
}
