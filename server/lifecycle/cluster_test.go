package lifecycle_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const (
	patience = 20 * time.Second       // how long something that must happen may take
	glance   = 5 * time.Millisecond   // between two looks
	reach    = 100 * time.Millisecond // how often the gauges are read
)

// cluster is the nodes of one test on a database of its own.
type cluster struct {
	t       testing.TB
	dsn     string
	pool    *pgxpool.Pool // the test's own look at the rows
	options server.Options
}

// change adapts the settings of the nodes of one test.
type change func(*server.Options)

func newCluster(tb testing.TB, changes ...change) *cluster {
	tb.Helper()
	database := dbtest.New(tb)
	return clusterOn(tb, database.DSN, database.Pool, changes...)
}

func clusterOn(tb testing.TB, dsn string, pool *pgxpool.Pool, changes ...change) *cluster {
	tb.Helper()
	c := &cluster{t: tb, dsn: dsn, pool: pool, options: server.Options{
		DatabaseURL: dsn, PoolSize: 8, GaugeInterval: reach, LongPoll: 5 * time.Second,
		// What one node does must reach the others by its notification: nothing here waits for a reconcile.
		ReconcileInterval: time.Hour,
	}}
	for _, f := range changes {
		f(&c.options)
	}
	return c
}

// node is one node, in this process or in one of its own.
type node struct {
	c      *cluster
	url    string
	client *http.Client
	server *server.Server // nil for a process
	proc   *process       // nil in this process
}

// start starts a node in this process; it stops when the test ends.
func (c *cluster) start(changes ...change) *node {
	c.t.Helper()
	o := c.options
	o.Logger = slog.New(slog.NewTextHandler(&output{w: c.t}, nil))
	for _, f := range changes {
		f(&o)
	}
	s, err := server.New(o)
	require.NoError(c.t, err)
	require.NoError(c.t, s.Start(c.t.Context()))
	n := &node{c: c, url: s.URL(), client: newHTTPClient(c.t), server: s}
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), patience)
		defer cancel()
		require.NoError(c.t, s.Stop(ctx))
	})
	return n
}

// two starts two nodes in this process.
func (c *cluster) two() (a, b *node) {
	c.t.Helper()
	return c.start(), c.start()
}

// oneWake is how most tests begin: two nodes, the entity one with the message hello, and its wake out.
func oneWake(tb testing.TB, changes ...change) (c *cluster, a, b *node, wakes *inbox) {
	tb.Helper()
	c = newCluster(tb, changes...)
	a, b = c.two()
	a.oneWake()
	return c, a, b, b.inbox()
}

func newHTTPClient(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: openapitest.Transport(tb, transport), Timeout: 2 * patience}
}

// output writes a node's log to the test's, and drops what comes after the test.
type output struct {
	mu sync.Mutex
	w  testing.TB
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Output().Write(b)
}

// eventually waits until it holds. It looks from the test's own goroutine, so that a look may fail the test.
func (c *cluster) eventually(holds func() bool, what string, args ...any) {
	c.t.Helper()
	c.within(patience, holds, what, args...)
}

func (c *cluster) within(limit time.Duration, holds func() bool, what string, args ...any) {
	c.t.Helper()
	over := time.NewTimer(limit)
	defer over.Stop()
	look := time.NewTicker(glance)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-over.C:
			require.FailNowf(c.t, "not within "+limit.String(), what, args...)
		}
	}
}

// consistent waits until the consistency query finds nothing.
func (c *cluster) consistent() {
	c.t.Helper()
	var found []claim.Violation
	c.eventually(func() bool {
		var err error
		found, err = claim.Violations(c.t.Context(), c.pool)
		return err == nil && len(found) == 0
	}, "invariants are broken: %+v", &found)
}

// exec runs a statement of the test's own.
func (c *cluster) exec(sql string, args ...any) {
	c.t.Helper()
	_, err := c.pool.Exec(c.t.Context(), sql, args...)
	require.NoError(c.t, err)
}

// value reads one value.
func value[T any](c *cluster, sql string, args ...any) T {
	c.t.Helper()
	var v T
	require.NoError(c.t, c.pool.QueryRow(c.t.Context(), sql, args...).Scan(&v))
	return v
}
