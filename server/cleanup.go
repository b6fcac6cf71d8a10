package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// grace is what a cleanup gets when the time for all of them is over: enough to cut short, not to wait.
const grace = time.Second

// cleanup is what a stop has to undo. Each step is added on the line after the acquisition it undoes, so
// that a stop is the boot backwards and a boot that failed half-way is undone by the same steps.
type cleanup struct {
	log   *slog.Logger
	mu    sync.Mutex
	steps []step
}

type step struct {
	name string
	undo func(ctx context.Context) error
}

func (c *cleanup) add(name string, undo func(ctx context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, step{name, undo})
}

// run undoes every step, the last one first, whatever the others answer.
func (c *cleanup) run(ctx context.Context) error {
	c.mu.Lock()
	steps := c.steps
	c.steps = nil
	c.mu.Unlock()
	var failed []error
	for _, s := range slices.Backward(steps) {
		began := time.Now()
		if err := undo(ctx, s); err != nil {
			failed = append(failed, fmt.Errorf("stop %s: %w", s.name, err))
		}
		c.log.DebugContext(ctx, "stopped", "part", s.name, "duration", time.Since(began))
	}
	return errors.Join(failed...)
}

func undo(ctx context.Context, s step) error {
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		ctx = late
	}
	return s.undo(ctx)
}

// wait returns when f has, or when ctx ends.
func wait(ctx context.Context, f func()) error {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
