package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/jobs"
	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const patience = 20 * time.Second

// releaser stands for the claims: it says when it is called, and how that ends.
type releaser func(ctx context.Context, claims []args.Claim) error

func (f releaser) ReleaseDone(ctx context.Context, claims []args.Claim, _ func(tx pgx.Tx) error) error {
	return f(ctx, claims)
}

func newClient(t *testing.T, database *dbtest.Database, reg *prometheus.Registry) *jobs.Client {
	t.Helper()
	c, err := jobs.New(jobs.Options{NodeID: "node", Pool: database.Pool, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: reg})
	require.NoError(t, err)
	return c
}

func insert(t *testing.T, c *jobs.Client, database *dbtest.Database) {
	t.Helper()
	require.NoError(t, pg.InTx(t.Context(), database.Pool, func(tx pgx.Tx) error {
		return c.InsertRelease(t.Context(), tx, args.ReleaseClaims{Claims: []args.Claim{{Tenant: "default", Consumer: "w", Epoch: 1, Stream: "demo/one/main"}}})
	}))
}

// A job that is being worked when the node stops is waited for, and cut when the stop's time is over; then it
// is as it was, for the next node.
func TestStopCutsWhatIsNotDone(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	c := newClient(t, database, prometheus.NewRegistry())
	insert(t, c, database)
	begun, cut := make(chan struct{}, 1), make(chan error, 1)
	require.NoError(t, c.Start(context.WithoutCancel(t.Context()), releaser(func(ctx context.Context, _ []args.Claim) error {
		begun <- struct{}{}
		<-ctx.Done()
		cut <- ctx.Err()
		return ctx.Err()
	}), nil))
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, c.Stop(ctx))
	require.Error(t, <-cut)
	var state string
	require.NoError(t, database.Pool.QueryRow(t.Context(), `SELECT state::text FROM river_job`).Scan(&state))
	require.Contains(t, []string{"available", "retryable"}, state)
}

// A release that fails is tried again soon, and again.
func TestFailedReleaseIsTriedAgain(t *testing.T) {
	t.Parallel()
	database, reg := dbtest.New(t), prometheus.NewRegistry()
	c := newClient(t, database, reg)
	insert(t, c, database)
	tried := make(chan time.Time, 16)
	require.NoError(t, c.Start(context.WithoutCancel(t.Context()), releaser(func(context.Context, []args.Claim) error {
		select {
		case tried <- time.Now():
		default:
		}
		return errors.New("not yet")
	}), nil))
	first, second := <-tried, time.Time{}
	select {
	case second = <-tried:
	case <-time.After(patience):
		require.Fail(t, "it was not tried again")
	}
	require.Less(t, second.Sub(first), 10*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, c.Stop(ctx))
}

func TestGaugesShowTheQueue(t *testing.T) {
	t.Parallel()
	database, reg := dbtest.New(t), prometheus.NewRegistry()
	c := newClient(t, database, reg)
	insert(t, c, database)
	_, err := database.Pool.Exec(t.Context(), `INSERT INTO river_queue (name, metadata, created_at, updated_at) VALUES ('release', '{}', now(), now())`)
	require.NoError(t, err)
	gauges := jobs.NewGauges(database.Pool, time.Hour, slog.New(slog.DiscardHandler), reg)
	require.Zero(t, testutil.CollectAndCount(gauges), "nothing is known yet, which is not zero")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gauges.Run(ctx) }()
	require.Eventually(t, func() bool { return testutil.CollectAndCount(gauges) > 0 }, patience, 5*time.Millisecond)
	require.NoError(t, testutil.CollectAndCompare(gauges, strings.NewReader(`
# HELP wakelatch_jobs Jobs that are not finished, by queue and state; the same on every node.
# TYPE wakelatch_jobs gauge
wakelatch_jobs{queue="release",state="available"} 1
wakelatch_jobs{queue="release",state="discarded"} 0
wakelatch_jobs{queue="release",state="retryable"} 0
wakelatch_jobs{queue="release",state="running"} 0
wakelatch_jobs{queue="release",state="scheduled"} 0
`), "wakelatch_jobs"))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	cancel()
	require.NoError(t, <-ended)
}
