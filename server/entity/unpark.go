package entity

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// UnparkRequest ends the parking of an entity. The reason goes into the history.
type UnparkRequest struct {
	Tenant    string
	EntityURL string
	Actor     string
	Reason    string
}

// Unpark forgets the failures that parked an entity and arms it at once. Nothing else un-parks one: what failed
// so often is worth a person's look. An entity that is not parked is left as it is. It fails with ErrNotFound.
func (s *Service) Unpark(ctx context.Context, r UnparkRequest) (Entity, error) {
	id, wakeID := newKey("act"), claim.NewWakeID()
	var found []int64
	var armed *claim.Armed
	err := pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		var p pg.Pipeline
		claim.LockEntityRows(&p, s.queries, []string{r.Tenant}, []string{r.EntityURL}, []string{claim.MainStream(r.EntityURL)})
		pg.Many(&p, &found, func(ctx context.Context, conn pg.Conn) ([]int64, error) {
			return s.queries.Unpark(ctx, conn, db.UnparkParams{
				TenantID: r.Tenant, URL: r.EntityURL, ActionID: id, Actor: r.Actor, Reason: r.Reason,
			})
		})
		armed = claim.Arm(&p, s.queries, []claim.Candidate{{Tenant: r.Tenant, EntityURL: r.EntityURL, WakeID: wakeID}})
		return p.Run(ctx, s.Pool)
	})
	if err != nil {
		return Entity{}, fmt.Errorf("un-park entity %s: %w", r.EntityURL, err)
	}
	if len(found) == 0 {
		return Entity{}, fmt.Errorf("entity %s: %w", r.EntityURL, ErrNotFound)
	}
	s.Hub.EntityChanged(r.Tenant, r.EntityURL, found[0])
	s.Claims.AnnounceArmed(armed)
	return s.Get(ctx, r.Tenant, r.EntityURL)
}
