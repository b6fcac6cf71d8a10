package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// rideOut repeats work that may be done twice until the database answers, for at most Options.RideOut.
func (s *Service) rideOut(ctx context.Context, work func(ctx context.Context) error) error {
	end := time.Now().Add(s.RideOut)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := work(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !pg.IsUnavailable(err) && !pg.IsContention(err) {
			return err
		}
		if time.Now().Add(pause).After(end) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // jitter is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
