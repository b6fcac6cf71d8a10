package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Handler handles the input of one wake. Its context ends when the claim is lost or the runner is cut short;
// context.Cause says which. If it returns nil, the input is acknowledged; an error leaves it pending.
type Handler func(ctx context.Context, w *Wake) error

// RunnerOptions are what a runner does. ID and Handle are required.
type RunnerOptions struct {
	// ID names the runner. Several processes may share one: each wake goes to one of them.
	ID string
	// Label is for people; "" means the ID.
	Label string
	// Types are entity types to register: their new entities are this runner's.
	Types []string
	// Concurrency is how many entities are worked on at once; 0 means 1.
	Concurrency int
	// DrainTimeout is how long Run waits for its handlers when it stops; 0 means 30 s.
	DrainTimeout time.Duration
	// Handle is called for each wake, of different entities at once.
	Handle Handler
}

const (
	drainTimeout  = 30 * time.Second
	finishTimeout = 15 * time.Second // for the dones of what was cut short; longer than a node rides out its database
)

// Runner works on the wakes of one runner id.
type Runner struct {
	client *Client
	o      RunnerOptions
	log    *slog.Logger
	read   *position
}

// NewRunner makes a runner; nothing happens until Run.
func NewRunner(c *Client, o RunnerOptions) (*Runner, error) {
	switch {
	case o.ID == "":
		return nil, errors.New("a runner needs an id")
	case o.Handle == nil:
		return nil, errors.New("a runner needs a handler")
	case o.Concurrency < 0 || o.DrainTimeout < 0:
		return nil, errors.New("concurrency and drain timeout must not be negative")
	}
	o.Label = cmp.Or(o.Label, o.ID)
	o.Concurrency = cmp.Or(o.Concurrency, 1)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, drainTimeout)
	return &Runner{client: c, o: o, log: c.log.With("runner_id", o.ID), read: newPosition()}, nil
}

// Run works until ctx ends, and then drains. It returns nil after a stop in order, ErrCutShort after one
// that was not, and an *Error if a node refuses the registration. Nodes that are away are waited for. It
// must be called once.
func (r *Runner) Run(ctx context.Context) error {
	// Three ends, one after the other: taking wakes, working on them, finishing them.
	finishing, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	working, cutShort := context.WithCancelCause(finishing)
	defer abandon(nil)
	defer cutShort(nil)

	if err := r.register(ctx); err != nil {
		return stopped(ctx, err)
	}
	var beside, wakes sync.WaitGroup
	beside.Go(func() { r.beat(finishing) })
	slots := make(chan struct{}, r.o.Concurrency)
	err := r.follow(ctx, slots, func(e wakeEvent) {
		wakes.Go(func() {
			defer func() { <-slots }()
			r.handle(ctx, working, finishing, e)
		})
	})
	cut := r.drain(ctx, &wakes, cutShort, abandon)
	r.report(finishing)
	abandon(nil)
	beside.Wait()
	return errors.Join(stopped(ctx, err), cut)
}

// stopped hides what a stop that was asked for brought about.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = nil
	}
	return err
}

// drain waits for the wakes, for a while as they are and for a while to be finished.
func (r *Runner) drain(ctx context.Context, wakes *sync.WaitGroup, cutShort, abandon context.CancelCauseFunc) error {
	finished := make(chan struct{})
	go func() {
		wakes.Wait()
		close(finished)
	}()
	timer := time.NewTimer(r.o.DrainTimeout)
	defer timer.Stop()
	select {
	case <-finished:
		return nil
	case <-timer.C:
	}
	r.log.WarnContext(ctx, "handlers are cut short", "drain_timeout", r.o.DrainTimeout)
	cutShort(ErrStopping)
	timer.Reset(finishTimeout)
	select {
	case <-finished:
	case <-timer.C:
		abandon(ErrStopping)
		<-finished
	}
	return ErrCutShort
}

// register makes the runner and its types known and learns where to read on.
func (r *Runner) register(ctx context.Context) error {
	offset, err := r.client.RegisterRunner(ctx, r.o.ID, r.o.Label)
	if err != nil {
		return fmt.Errorf("register runner %q: %w", r.o.ID, err)
	}
	r.read.set(offset)
	for _, name := range r.o.Types {
		before, err := r.client.RegisterType(ctx, name, r.o.ID)
		if err != nil {
			return fmt.Errorf("register entity type %q: %w", name, err)
		}
		if before != "" && before != r.o.ID {
			r.log.WarnContext(ctx, "new entities of the type were another runner's", "entity_type", name, "before", before)
		}
	}
	r.log.InfoContext(ctx, "runner is registered", "wake_stream_offset", offset, "concurrency", r.o.Concurrency)
	return nil
}
