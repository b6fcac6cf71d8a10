package stream

import (
	"context"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Delete removes a plain stream and all it holds. Waiting readers are woken and find it gone.
func (s *Service) Delete(ctx context.Context, key Key) error {
	if key.Path.Kind() != Plain {
		return ErrForbidden
	}
	var gone []string
	attempts := 0
	err := s.rideOut(ctx, func(ctx context.Context) error {
		attempts++
		var p pg.Pipeline
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.LockPlainStream(ctx, conn, db.LockPlainStreamParams{TenantID: key.Tenant, Path: string(key.Path)})
		})
		pg.Many(&p, &gone, func(ctx context.Context, conn pg.Conn) ([]string, error) {
			return s.queries.DeletePlainStream(ctx, conn, db.DeletePlainStreamParams{TenantID: key.Tenant, Path: string(key.Path)})
		})
		return p.Run(ctx, s.Pool)
	})
	if err != nil {
		return err
	}
	// Nothing is left for an attempt that follows one whose answer was lost.
	if len(gone) == 0 && attempts == 1 {
		return ErrNotFound
	}
	s.Hub.streamChanged(key.Tenant, string(key.Path), numberGone)
	return nil
}
