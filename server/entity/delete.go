package entity

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// DeleteRequest removes an entity. The reason goes into the history.
type DeleteRequest struct {
	Tenant    string
	EntityURL string
	Actor     string
	Reason    string
}

// deletion is what an attempt to delete did: with ended the entity takes nothing any more, with removed it is gone.
type deletion struct {
	ended    []db.EndEntityRow
	removed  []string
	released *claim.Released
}

// Delete removes an entity, its stream and its messages; an active claim is released by force, and its write token is
// refused from then on. What stays is the history and the generation, from which an entity spawned under the
// name goes on. The stream of a large entity is emptied in batches, after the entity was killed: a deletion that is cut
// short leaves a killed entity, and deleting it again goes on from there. It fails with ErrNotFound.
func (s *Service) Delete(ctx context.Context, r DeleteRequest) error {
	for began := false; ; began = true {
		done, attempts, err := s.tryDelete(ctx, r)
		if err != nil {
			return fmt.Errorf("delete entity %s: %w", r.EntityURL, err)
		}
		switch {
		case len(done.ended) == 0 && attempts == 1 && !began:
			return fmt.Errorf("entity %s: %w", r.EntityURL, ErrNotFound)
		case len(done.ended) == 0, len(done.removed) > 0:
			// Nothing is left for an attempt that follows one whose answer was lost, or for the slower of two.
			s.Hub.StreamGone(r.Tenant, claim.MainStream(r.EntityURL))
			s.Hub.EntityGone(r.Tenant, r.EntityURL)
			s.Logger.InfoContext(ctx, "entity deleted", "tenant_id", r.Tenant, "entity_url", r.EntityURL)
			return nil
		}
		row := done.ended[0]
		s.Hub.StreamChanged(r.Tenant, row.Path, row.Tail)
		s.Hub.EntityChanged(r.Tenant, r.EntityURL, row.Version)
		key := stream.Key{Tenant: r.Tenant, Path: stream.Path(row.Path)}
		if err := stream.Empty(ctx, s.Pool, s.RideOut, key, row.Generation); err != nil {
			return fmt.Errorf("empty the stream of entity %s, which is killed now; delete it again: %w", r.EntityURL, err)
		}
	}
}

// tryDelete is one transaction: the entity ends and its claim is released, and if its stream is small all of it is
// removed.
func (s *Service) tryDelete(ctx context.Context, r DeleteRequest) (done deletion, attempts int, err error) {
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		attempts++
		done = deletion{}
		return pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error { return s.delete(ctx, tx, r, &done) })
	})
	if err == nil && done.released != nil {
		s.Claims.Announce(ctx, done.released)
	}
	return done, attempts, err
}

func (s *Service) delete(ctx context.Context, tx pgx.Tx, r DeleteRequest, done *deletion) error {
	held, err := s.queries.LockDispatchForSignal(ctx, tx, db.LockDispatchForSignalParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
	if err != nil || len(held) == 0 {
		return err
	}
	path := claim.MainStream(r.EntityURL)
	var active []args.Claim
	if h := held[0]; h.ActiveConsumerID != nil {
		active = []args.Claim{{Tenant: r.Tenant, Consumer: *h.ActiveConsumerID, Epoch: *h.ActiveEpoch, Stream: path}}
	}
	var p pg.Pipeline
	claim.QueueLocks(&p, s.queries, active)
	claim.LockEntityRows(&p, s.queries, []string{r.Tenant}, []string{r.EntityURL}, []string{path})
	pg.Many(&p, &done.ended, func(ctx context.Context, conn pg.Conn) ([]db.EndEntityRow, error) {
		return s.queries.EndEntity(ctx, conn, db.EndEntityParams{TenantID: r.Tenant, URL: r.EntityURL, Actor: r.Actor, Reason: r.Reason})
	})
	if len(active) > 0 {
		// After the entity has ended, so that the release arms nothing.
		done.released = s.Claims.QueueRelease(&p, claim.Release{
			Claims: active, Cause: claim.CauseDeleted, By: claim.ByAdmin, Actor: r.Actor, Reason: r.Reason,
		})
	}
	pg.Many(&p, &done.removed, func(ctx context.Context, conn pg.Conn) ([]string, error) {
		return s.queries.RemoveEntity(ctx, conn, db.RemoveEntityParams{
			TenantID: r.Tenant, URL: r.EntityURL, Path: path, MaxRows: stream.DeleteRows, MaxBytes: stream.DeleteBytes,
		})
	})
	return p.Run(ctx, tx)
}
