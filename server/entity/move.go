package entity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// MoveRequest gives an entity another dispatch policy. The reason goes into the history.
type MoveRequest struct {
	Tenant         string
	EntityURL      string
	DispatchPolicy json.RawMessage
	Actor          string
	Reason         string
}

// Move changes the runner that the entity's wakes go to. A wake that is out at the old runner is taken back, and
// pending work is armed for the new one at once, as the next generation; a holder keeps its claim, and the wake after it
// goes to the new runner; a paused entity waits for its SIGCONT, and a parked one for being un-parked. It fails with
// ErrNotFound, ErrUnknownRunner or a NotRunningError. The policy that the entity has already changes nothing.
func (s *Service) Move(ctx context.Context, r MoveRequest) (Entity, error) {
	runnerID, err := s.movesTo(ctx, r)
	if err != nil {
		return Entity{}, err
	}
	arg := db.MoveEntityParams{
		TenantID: r.Tenant, URL: r.EntityURL, DispatchPolicy: string(r.DispatchPolicy), DispatchRunnerID: runnerID,
		ActionID: newKey("act"), Actor: r.Actor, Reason: r.Reason,
	}
	moved, armed, err := s.move(ctx, arg)
	switch {
	case err != nil:
		return Entity{}, fmt.Errorf("move entity %s: %w", r.EntityURL, err)
	case len(moved) == 0:
		return Entity{}, fmt.Errorf("entity %s: %w", r.EntityURL, ErrNotFound)
	case moved[0].Outcome == "not_running":
		return Entity{}, &NotRunningError{Status: moved[0].Status}
	case moved[0].Outcome != "unchanged":
		s.Hub.EntityChanged(r.Tenant, r.EntityURL, moved[0].Version)
		s.Logger.InfoContext(ctx, "entity moved", "tenant_id", r.Tenant, "entity_url", r.EntityURL, "runner_id", runnerID)
	}
	s.Claims.AnnounceArmed(armed)
	return s.Get(ctx, r.Tenant, r.EntityURL)
}

// movesTo is the runner that the policy names, which must be registered.
func (s *Service) movesTo(ctx context.Context, r MoveRequest) (runnerID string, err error) {
	if given := bytes.TrimSpace(r.DispatchPolicy); len(given) == 0 || bytes.Equal(given, []byte("null")) {
		return "", &InvalidError{
			Field: "dispatch_policy", Value: string(given), Why: `is missing: it must look like {"targets":[{"type":"runner","runnerId":"r1"}]}`,
		}
	}
	if runnerID, err = entitytype.ParsePolicy(r.DispatchPolicy); err != nil {
		return "", err
	}
	return runnerID, s.checkRunner(ctx, r.Tenant, runnerID)
}

func (s *Service) move(ctx context.Context, arg db.MoveEntityParams) (moved []db.MoveEntityRow, armed *claim.Armed, err error) {
	candidates := []claim.Candidate{{Tenant: arg.TenantID, EntityURL: arg.URL, WakeID: claim.NewWakeID()}}
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		var p pg.Pipeline
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.LockDispatch(ctx, conn, db.LockDispatchParams{TenantIDs: []string{arg.TenantID}, EntityURLs: []string{arg.URL}})
		})
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.LockEntities(ctx, conn, db.LockEntitiesParams{TenantIDs: []string{arg.TenantID}, EntityURLs: []string{arg.URL}})
		})
		pg.Many(&p, &moved, func(ctx context.Context, conn pg.Conn) ([]db.MoveEntityRow, error) {
			return s.queries.MoveEntity(ctx, conn, arg)
		})
		armed = claim.Arm(&p, s.queries, candidates)
		return p.Run(ctx, s.Pool)
	})
	return moved, armed, err
}
