package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/sql/migrations"
)

const (
	// One attempt is bounded by jobTimeout; a job whose node died is rescued after rescueAfter, when River's
	// rescuer next comes by (every 30 s, on the leader).
	jobTimeout  = 5 * time.Second
	rescueAfter = 10 * time.Second
	// The shortest time between two fetches, which is what a done waits for its job at
	// most when jobs come fast; pollInterval covers a lost insert notification.
	fetchCooldown = 2 * time.Millisecond
	pollInterval  = 100 * time.Millisecond
	// How long finished jobs stay to be looked at, unless the options say otherwise.
	defaultKeep    = 10 * time.Minute
	releaseWorkers = 4
	sendWorkers    = 8
	// A release is never given up; the sweep would do it in the end.
	maxAttempts = 1000
)

// Releaser releases claims whose done is recorded and, in the same transaction, calls complete.
type Releaser interface {
	ReleaseDone(ctx context.Context, claims []args.Claim, complete func(tx pgx.Tx) error) error
}

// Sender sends a message that is due, or drops it if its entity takes no more; either is no error.
type Sender interface {
	SendDelayed(ctx context.Context, message args.SendDelayed) error
}

// Options are what a Client needs.
type Options struct {
	NodeID string
	// Pool is River's own: a few connections that can LISTEN, so not through a transaction pooler.
	Pool       *pgxpool.Pool
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Keep is how long finished jobs are kept; 10 min. River's leader removes them, in batches.
	Keep time.Duration
}

// Client inserts jobs and, once started, works them.
type Client struct {
	pool    *pgxpool.Pool
	river   *river.Client[pgx.Tx]
	release *releaseWorker
	send    *sendWorker
}

// New makes a client. Start needs who does the work; inserting does not.
func New(o Options) (*Client, error) {
	m := newMetrics(o.Registerer)
	release := &releaseWorker{pool: o.Pool, metrics: m}
	send := &sendWorker{metrics: m}
	workers := river.NewWorkers()
	if err := errors.Join(river.AddWorkerSafely(workers, release), river.AddWorkerSafely(workers, send)); err != nil {
		return nil, fmt.Errorf("register workers: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(o.Pool), &river.Config{
		ID:     o.NodeID,
		Schema: migrations.RiverSchema,
		Logger: o.Logger.With("component", "jobs"),
		Queues: map[string]river.QueueConfig{
			args.QueueRelease: {MaxWorkers: releaseWorkers}, args.QueueDelayed: {MaxWorkers: sendWorkers},
		},
		Workers:                     workers,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           pollInterval,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: cmp.Or(o.Keep, defaultKeep),
	})
	if err != nil {
		return nil, fmt.Errorf("configure river: %w", err)
	}
	return &Client{pool: o.Pool, river: client, release: release, send: send}, nil
}

// Start works jobs until Stop.
func (c *Client) Start(ctx context.Context, releaser Releaser, sender Sender) error {
	c.release.releaser, c.send.sender = releaser, sender
	if err := c.river.Start(ctx); err != nil {
		return fmt.Errorf("start river: %w", err)
	}
	return nil
}

// Stop takes no new job and waits for those running; when ctx ends first they are cancelled, and another
// node's attempt finishes them.
func (c *Client) Stop(ctx context.Context) error {
	err := c.river.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobTimeout)
		defer cancel()
		err = c.river.StopAndCancel(hard)
	}
	if err != nil {
		return fmt.Errorf("stop river: %w", err)
	}
	return nil
}

// InsertRelease inserts a ReleaseClaims job in the caller's transaction.
func (c *Client) InsertRelease(ctx context.Context, tx pgx.Tx, release args.ReleaseClaims) error {
	if _, err := c.river.InsertTx(ctx, tx, release, &river.InsertOpts{Queue: args.QueueRelease, MaxAttempts: maxAttempts}); err != nil {
		return fmt.Errorf("insert release of %d claims: %w", len(release.Claims), err)
	}
	return nil
}

// InsertDelayed inserts a SendDelayed job in the caller's transaction. It runs at the time or, since River's leader
// looks every 5 s for what is due, some seconds later.
func (c *Client) InsertDelayed(ctx context.Context, tx pgx.Tx, message args.SendDelayed, at time.Time) error {
	_, err := c.river.InsertTx(ctx, tx, message, &river.InsertOpts{Queue: args.QueueDelayed, MaxAttempts: maxAttempts, ScheduledAt: at})
	if err != nil {
		return fmt.Errorf("insert delayed message to %s: %w", message.EntityURL, err)
	}
	return nil
}
