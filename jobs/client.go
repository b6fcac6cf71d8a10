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
	// A release is never given up; the sweep would do it in the end.
	maxAttempts = 1000
)

// Releaser releases claims whose done is recorded and, in the same transaction, calls complete.
type Releaser interface {
	ReleaseDone(ctx context.Context, claims []args.Claim, complete func(tx pgx.Tx) error) error
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
}

// New makes a client. Start needs the releaser; inserting does not.
func New(o Options) (*Client, error) {
	m := newMetrics(o.Registerer)
	release := &releaseWorker{pool: o.Pool, metrics: m}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, release); err != nil {
		return nil, fmt.Errorf("register release worker: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(o.Pool), &river.Config{
		ID:                          o.NodeID,
		Schema:                      migrations.RiverSchema,
		Logger:                      o.Logger.With("component", "jobs"),
		Queues:                      map[string]river.QueueConfig{args.QueueRelease: {MaxWorkers: releaseWorkers}},
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
	return &Client{pool: o.Pool, river: client, release: release}, nil
}

// Start works jobs until Stop.
func (c *Client) Start(ctx context.Context, releaser Releaser) error {
	c.release.releaser = releaser
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
