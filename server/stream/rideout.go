package stream

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/pg"
)

// rideOut repeats work that may be done twice until the database answers, for at most Options.RideOut.
func (s *Service) rideOut(ctx context.Context, work func(ctx context.Context) error) error {
	err := pg.RideOut(ctx, s.RideOut, work)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case pg.IsUnavailable(err) || pg.IsContention(err):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
