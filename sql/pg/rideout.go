package pg

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause = 20 * time.Millisecond
	longPause  = 500 * time.Millisecond
)

// RideOut repeats work while the database is away or another transaction is in the way, for at most limit,
// and returns the last error. Work must do no harm when it is done twice: an attempt that failed may have
// been committed.
func RideOut(ctx context.Context, limit time.Duration, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := work(ctx)
		if err == nil || !IsContention(err) && !IsUnavailable(err) {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // spreads the retries and is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
