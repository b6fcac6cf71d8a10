package client

import (
	"context"
	"errors"
	"sync"
)

// handle claims a wake and sees it through to its done. A claim is tried again only while taking lasts;
// working bounds the handler, and finishing the done, also of a handler that was cut short.
func (r *Runner) handle(taking, working, finishing context.Context, e wakeEvent) {
	log := r.log.With("stream", e.Stream, "generation", e.Generation)
	w, err := r.client.claim(finishing, taking, r.o.ID, e)
	if err != nil {
		if taking.Err() == nil {
			log.WarnContext(taking, "wake is left for later", "error", err)
		}
		return
	}
	if w == nil {
		log.DebugContext(taking, "wake is not this runner's to take")
		return
	}
	log = log.With("consumer_id", w.ID(), "epoch", w.Epoch())
	log.InfoContext(taking, "wake begins")
	err = r.work(working, finishing, w)
	switch {
	case errors.Is(err, ErrClaimLost):
		log.WarnContext(taking, "claim is lost; the wake ends without a done", "error", err)
		return
	case errors.Is(err, ErrHandBack), err != nil && errors.Is(context.Cause(working), ErrStopping):
		log.WarnContext(taking, "wake is handed back; its input goes to the next claim", "error", err)
		if err := w.handBack(finishing, err); err != nil {
			log.WarnContext(taking, "hand-back was not recorded; the claim's lease decides", "error", err)
		}
		return
	case err != nil:
		log.WarnContext(taking, "wake failed; its input stays pending", "error", err)
	}
	failed := err != nil
	if err := w.done(finishing, failed); err != nil {
		log.WarnContext(taking, "done was not recorded; the claim's lease decides", "error", err)
		return
	}
	log.InfoContext(taking, "wake is done", "failed", failed)
}

// work runs the handler with heartbeats and appends beside it. It returns ErrClaimLost if the claim is over,
// whatever the handler said: its input is another claim's by then.
func (r *Runner) work(working, finishing context.Context, w *Wake) error {
	held, lose := context.WithCancelCause(finishing)
	w.lose = lose
	// The handler's context ends with the claim and with the time to work.
	ctx, cancel := context.WithCancelCause(held)
	defer context.AfterFunc(working, func() { cancel(context.Cause(working)) })()

	var beside sync.WaitGroup
	beside.Go(func() { w.beat(held) })
	beside.Go(func() { w.out.run(held) })
	defer beside.Wait()
	defer lose(nil)
	defer cancel(nil)

	err := w.readInput(ctx)
	if err == nil {
		err = r.o.Handle(ctx, w)
	}
	// Also what a failed handler wrote is kept, and before the done: nothing lands after it.
	err = errors.Join(err, w.out.flush(held))
	if cause := context.Cause(held); errors.Is(cause, ErrClaimLost) {
		return cause
	}
	return err
}
