package apikey_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	patience = 10 * time.Second
	tick     = 10 * time.Millisecond
)

// rig is a directory on a database of its own, with a count of the statements that it sent.
type rig struct {
	*apikey.Directory
	t        *testing.T
	keys     *apikey.Manager
	pool     *pgxpool.Pool
	counter  *counter
	registry *prometheus.Registry
}

func newRig(t *testing.T, d *dbtest.Database, change ...func(*apikey.Options)) *rig {
	t.Helper()
	r := &rig{t: t, keys: apikey.NewManager(d.Pool), pool: d.Pool, counter: &counter{}, registry: prometheus.NewRegistry()}
	traced, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: d.DSN, ApplicationName: "directory", MaxConns: 4, Tracer: r.counter})
	require.NoError(t, err)
	t.Cleanup(traced.Close)
	o := apikey.Options{
		DB: traced, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: r.registry, Refresh: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	r.Directory = apikey.NewDirectory(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return r
}

func (r *rig) create(change ...func(*apikey.CreateRequest)) (apikey.Info, string) {
	r.t.Helper()
	req := apikey.CreateRequest{Tenant: "a", Principal: "user:alice", Role: apikey.Client, By: "test"}
	for _, f := range change {
		f(&req)
	}
	made, text, err := r.keys.Create(r.t.Context(), req)
	require.NoError(r.t, err)
	return made, text
}

func (r *rig) check(text string) error {
	_, err := r.Check(r.t.Context(), text)
	return err
}

// counter counts statements.
type counter struct{ statements atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.statements.Add(1)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
