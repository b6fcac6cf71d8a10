package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/wakelatch/wakelatch/jobs/args"
)

// The wait before a failed release is tried again: short, for a dead connection is back soon, and bounded.
const (
	firstRetry = 100 * time.Millisecond
	maxRetry   = 10 * time.Second
	// The note of what is left is bounded, which is made before the rescuer may take the job.
	keepTimeout = 2 * time.Second
)

// releaseWorker releases the claims of a job together. If that fails, or takes half of the attempt's time,
// the same attempt releases them one by one, so that one bad claim does not hold up the others; only those
// that failed, or that it did not get to, stay in the job.
type releaseWorker struct {
	river.WorkerDefaults[args.ReleaseClaims]
	pool     *pgxpool.Pool
	releaser Releaser
	metrics  *metrics
}

// NextRetry doubles the wait with each attempt.
func (w *releaseWorker) NextRetry(job *river.Job[args.ReleaseClaims]) time.Time {
	wait := maxRetry
	if shift := job.Attempt - 1; shift < 7 {
		wait = firstRetry << max(shift, 0)
	}
	return time.Now().Add(min(wait, maxRetry))
}

// Work is safe to repeat: a claim already released is left as it is.
func (w *releaseWorker) Work(ctx context.Context, job *river.Job[args.ReleaseClaims]) error {
	err := w.workTogether(ctx, job)
	if err == nil {
		w.metrics.count(job.Kind, outcomeCompleted)
		return nil
	}
	if err := w.workOneByOne(ctx, job, err); err != nil {
		w.metrics.count(job.Kind, outcomeRetried)
		return err
	}
	w.metrics.count(job.Kind, outcomeCompletedSingly)
	return nil
}

func (w *releaseWorker) workTogether(ctx context.Context, job *river.Job[args.ReleaseClaims]) error {
	ctx, cancel := context.WithTimeoutCause(ctx, jobTimeout/2, errors.New("half of the job's time is over"))
	defer cancel()
	return w.releaser.ReleaseDone(ctx, job.Args.Claims, func(tx pgx.Tx) error {
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		if err != nil {
			return fmt.Errorf("complete job %d: %w", job.ID, err)
		}
		return nil
	})
}

func (w *releaseWorker) workOneByOne(ctx context.Context, job *river.Job[args.ReleaseClaims], cause error) error {
	if len(job.Args.Claims) == 1 {
		return cause
	}
	var failed, untried []args.Claim
	for i, c := range job.Args.Claims {
		if ctx.Err() != nil {
			untried = job.Args.Claims[i:]
			break
		}
		if err := w.releaser.ReleaseDone(ctx, []args.Claim{c}, func(pgx.Tx) error { return nil }); err != nil {
			failed = append(failed, c)
			cause = err
		}
	}
	left := slices.Concat(untried, failed)
	if len(left) == 0 {
		return nil
	}
	return errors.Join(
		fmt.Errorf("%d of %d claims of job %d are still to be released: %w", len(left), len(job.Args.Claims), job.ID, cause),
		w.keep(ctx, job.ID, left))
}

// keep leaves the job those claims that are still to be released, in the order of the next attempt: what this
// one did not get to comes before what failed. The attempt's own time may be over by now.
func (w *releaseWorker) keep(ctx context.Context, jobID int64, left []args.Claim) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	encoded, err := json.Marshal(args.ReleaseClaims{Claims: left})
	if err != nil {
		return fmt.Errorf("encode what is left of job %d: %w", jobID, err)
	}
	if _, err := w.pool.Exec(ctx, `UPDATE public.river_job SET args = $1 WHERE id = $2`, encoded, jobID); err != nil {
		return fmt.Errorf("keep what is left of job %d: %w", jobID, err)
	}
	return nil
}
