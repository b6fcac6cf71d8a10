package stream

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Delete removes a plain stream and all it holds. Waiting readers are woken and find it gone. A large stream is
// closed first and emptied in batches: a deletion that is cut short leaves a closed stream, and deleting it again goes on
// from there.
func (s *Service) Delete(ctx context.Context, key Key) error {
	if key.Path.Kind() != Plain {
		return ErrForbidden
	}
	for began := false; ; began = true {
		found, attempts, err := s.tryDelete(ctx, key)
		if err != nil {
			return err
		}
		switch {
		case len(found) == 0 && attempts == 1 && !began:
			return ErrNotFound
		case len(found) == 0, found[0].Deleted:
			// Nothing is left for an attempt that follows one whose answer was lost, or for the slower of two.
			s.Hub.StreamGone(key.Tenant, string(key.Path))
			return nil
		}
		if err := Empty(ctx, s.Pool, s.RideOut, key, found[0].Generation); err != nil {
			return fmt.Errorf("empty stream %q, which is closed now; delete it again: %w", key.Path, err)
		}
	}
}

func (s *Service) tryDelete(ctx context.Context, key Key) (found []db.DeletePlainStreamRow, attempts int, err error) {
	err = s.rideOut(ctx, func(ctx context.Context) error {
		attempts++
		var p pg.Pipeline
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.LockPlainStream(ctx, conn, db.LockPlainStreamParams{TenantID: key.Tenant, Path: string(key.Path)})
		})
		pg.Many(&p, &found, func(ctx context.Context, conn pg.Conn) ([]db.DeletePlainStreamRow, error) {
			return s.queries.DeletePlainStream(ctx, conn, db.DeletePlainStreamParams{
				TenantID: key.Tenant, Path: string(key.Path), MaxRows: DeleteRows, MaxBytes: DeleteBytes,
			})
		})
		return p.Run(ctx, s.Pool)
	})
	return found, attempts, err
}
