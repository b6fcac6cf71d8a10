package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	minBackoff    = 100 * time.Millisecond
	maxBackoff    = 10 * time.Second
	maxRetryAfter = 30 * time.Second
)

// backoff is the waits between attempts: each about twice the last, and jittered, so that runners which
// lost the same node do not come back together.
type backoff struct{ last time.Duration }

// next is how long to wait after err: never less than the node asked for.
func (b *backoff) next(err error) time.Duration {
	b.last = min(max(2*b.last, minBackoff), maxBackoff)
	wait := b.last/2 + rand.N(b.last/2+1) //nolint:gosec // spreads load, hides nothing
	if refused, ok := errors.AsType[*Error](err); ok {
		wait += refused.retryAfter
	}
	return wait
}

// pause waits, and says whether the whole time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
