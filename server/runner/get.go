package runner

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// The number of runners on a page of List.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Get returns one runner.
func (s *Service) Get(ctx context.Context, tenant, id string) (Runner, error) {
	if CheckID(id) != nil {
		return Runner{}, ErrNotFound
	}
	var rows []db.GetRunnerRow
	err := pg.RideOut(ctx, s.rideOut, func(ctx context.Context) (err error) {
		rows, err = s.queries.GetRunner(ctx, s.pool, db.GetRunnerParams{TenantID: tenant, ID: id})
		return err
	})
	if err != nil {
		return Runner{}, fmt.Errorf("get runner %q: %w", id, err)
	}
	if len(rows) == 0 {
		return Runner{}, ErrNotFound
	}
	return fromRow(rows[0])
}

// ListRequest asks for one page of a tenant's runners.
type ListRequest struct {
	Tenant string
	// Owner limits the list to the runners of one principal; "" lists all.
	Owner string
	// After is the last id of the page before; "" asks for the first page.
	After string
	// Limit is the length of a page: 0 means DefaultPage, more than MaxPage means MaxPage.
	Limit int
}

// List returns runners in the order of their ids; more says whether another page follows.
func (s *Service) List(ctx context.Context, r ListRequest) (runners []Runner, more bool, err error) {
	if err := checkText("after", r.After, MaxID); err != nil {
		return nil, false, err
	}
	limit := min(r.Limit, MaxPage)
	if limit <= 0 {
		limit = DefaultPage
	}
	var rows []db.ListRunnersRow
	err = pg.RideOut(ctx, s.rideOut, func(ctx context.Context) (err error) {
		rows, err = s.queries.ListRunners(ctx, s.pool, db.ListRunnersParams{
			TenantID: r.Tenant, OwnerPrincipal: r.Owner, After: r.After, MaxRows: int64(limit) + 1,
		})
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list runners: %w", err)
	}
	if len(rows) > limit {
		rows, more = rows[:limit], true
	}
	runners = make([]Runner, 0, len(rows))
	for _, row := range rows {
		runner, err := fromRow(db.GetRunnerRow(row))
		if err != nil {
			return nil, false, fmt.Errorf("read runner %q: %w", row.ID, err)
		}
		runners = append(runners, runner)
	}
	return runners, more, nil
}

// WakeAccess says whether the runner's wake stream may be read: nil, ErrNotFound or ErrDisabled.
func (s *Service) WakeAccess(ctx context.Context, tenant, id string) error {
	if CheckID(id) != nil {
		return ErrNotFound
	}
	var status string
	err := pg.RideOut(ctx, s.rideOut, func(ctx context.Context) (err error) {
		status, err = s.queries.RunnerAdminStatus(ctx, s.pool, db.RunnerAdminStatusParams{TenantID: tenant, ID: id})
		return err
	})
	switch {
	case pg.IsNoRows(err):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("read status of runner %q: %w", id, err)
	case AdminStatus(status) == Disabled:
		return ErrDisabled
	}
	return nil
}
