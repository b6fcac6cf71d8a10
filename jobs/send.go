package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/wakelatch/wakelatch/jobs/args"
)

// maxSendRetry bounds the wait before a delayed message is tried again: it is late already, but an hour of a
// database in trouble must not use up its attempts.
const maxSendRetry = 5 * time.Minute

// sendWorker sends messages that are due. It is safe to repeat: the message's key is used once.
type sendWorker struct {
	river.WorkerDefaults[args.SendDelayed]
	sender  Sender
	metrics *metrics
}

// NextRetry doubles the wait with each attempt.
func (w *sendWorker) NextRetry(job *river.Job[args.SendDelayed]) time.Time {
	wait := maxSendRetry
	if shift := job.Attempt - 1; shift < 12 {
		wait = min(firstRetry<<max(shift, 0), maxSendRetry)
	}
	return time.Now().Add(wait)
}

// Work sends one message.
func (w *sendWorker) Work(ctx context.Context, job *river.Job[args.SendDelayed]) error {
	if err := w.sender.SendDelayed(ctx, job.Args); err != nil {
		w.metrics.count(job.Kind, outcomeRetried)
		return err
	}
	w.metrics.count(job.Kind, outcomeCompleted)
	return nil
}
