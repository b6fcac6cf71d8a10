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
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const (
	patience = 20 * time.Second       // how long something that must happen may take
	glance   = 5 * time.Millisecond   // between two looks
	reach    = 100 * time.Millisecond // how often the gauges are read
)

// cluster is the nodes of one test on a database of its own.
type cluster struct {
	t       *testing.T
	dsn     string
	pool    *pgxpool.Pool // the test's own look at the rows
	options server.Options
}

// change adapts the settings of the nodes of one test.
type change func(*server.Options)

func newCluster(t *testing.T, changes ...change) *cluster {
	t.Helper()
	database := dbtest.New(t)
	return clusterOn(t, database.DSN, database.Pool, changes...)
}

func clusterOn(t *testing.T, dsn string, pool *pgxpool.Pool, changes ...change) *cluster {
	t.Helper()
	c := &cluster{t: t, dsn: dsn, pool: pool, options: server.Options{
		DatabaseURL: dsn, PoolSize: 8, GaugeInterval: reach, LongPoll: 5 * time.Second,
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
func (c *cluster) two(changes ...change) (a, b *node) {
	c.t.Helper()
	return c.start(changes...), c.start(changes...)
}

func newHTTPClient(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * patience}
}

// output writes a node's log to the test's, and drops what comes after the test.
type output struct {
	mu sync.Mutex
	w  *testing.T
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Output().Write(b)
}

// eventually waits until it holds.
func (c *cluster) eventually(holds func() bool, what string, args ...any) {
	c.t.Helper()
	require.Eventuallyf(c.t, holds, patience, glance, what, args...)
}

// consistent waits until the consistency query finds nothing.
func (c *cluster) consistent() {
	c.t.Helper()
	var found []claim.Violation
	require.Eventuallyf(c.t, func() bool {
		var err error
		found, err = claim.Violations(c.t.Context(), c.pool)
		return err == nil && len(found) == 0
	}, patience, 10*glance, "invariants are broken: %+v", &found)
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
