package token

import (
	"context"
	"sync"
)

// finding is what one look at Postgres brought.
type finding struct {
	claim  Claim
	active bool
	held   bool  // the view took the claim: no drop overtook the look
	asked  int64 // when the look began, on the view's clock
}

// flights lets all callers that ask for one stream share one look, and lets
// only so many looks run at once. A look goes on when a caller leaves and is
// given up when the last one does.
type flights struct {
	look  func(context.Context, streamKey) (finding, error)
	turns chan struct{}

	mu sync.Mutex
	up map[streamKey]*flight
}

type flight struct {
	callers int // guarded by flights.mu
	cancel  context.CancelFunc
	landed  chan struct{} // closed when found and err are set
	found   finding
	err     error
}

func (fs *flights) init(turns int, look func(context.Context, streamKey) (finding, error)) {
	fs.look = look
	fs.turns = make(chan struct{}, turns)
	fs.up = map[streamKey]*flight{}
}

// join waits for the flight of a stream, starting it if there is none.
func (fs *flights) join(ctx context.Context, k streamKey) (finding, error) {
	fs.mu.Lock()
	f := fs.up[k]
	if f == nil {
		f = &flight{landed: make(chan struct{})}
		fs.up[k] = f
		var flying context.Context
		flying, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go fs.fly(flying, k, f)
	}
	f.callers++
	fs.mu.Unlock()

	select {
	case <-f.landed:
		return f.found, f.err
	case <-ctx.Done():
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.callers--; f.callers == 0 {
		f.cancel()
		fs.forget(k, f)
	}
	return finding{}, context.Cause(ctx)
}

func (fs *flights) fly(ctx context.Context, k streamKey, f *flight) {
	defer close(f.landed)
	defer f.cancel()
	select {
	case fs.turns <- struct{}{}:
		f.found, f.err = fs.look(ctx, k)
		<-fs.turns
	case <-ctx.Done():
		f.err = ctx.Err()
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.forget(k, f)
}

// forget makes the next caller start another flight.
func (fs *flights) forget(k streamKey, f *flight) {
	if fs.up[k] == f {
		delete(fs.up, k)
	}
}
