package stream

import (
	"context"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Head returns what is known of a stream.
func (s *Service) Head(ctx context.Context, key Key) (Info, error) {
	var found []db.GetStreamRow
	err := s.rideOut(ctx, func(ctx context.Context) error {
		var p pg.Pipeline
		s.get(&p, key, &found)
		return p.Run(ctx, s.Pool)
	})
	switch {
	case err != nil:
		return Info{}, err
	case len(found) == 0:
		return Info{}, ErrNotFound
	}
	return info(found[0]), nil
}
