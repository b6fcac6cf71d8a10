package stream_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/pg"
)

// trips notes every statement and counts the round trips that carried them.
type trips struct {
	mu      sync.Mutex
	batches int
	singles int
	sent    []statement
}

type statement struct {
	sql  string
	args []any
}

func (t *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.singles++
	t.sent = append(t.sent, statement{d.SQL, d.Args})
	return ctx
}

func (t *trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (t *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches++
	for _, q := range d.Batch.QueuedQueries {
		t.sent = append(t.sent, statement{q.SQL, q.Arguments})
	}
	return ctx
}

func (t *trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (t *trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (t *trips) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.singles++
	return ctx
}

func (t *trips) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

func (t *trips) take() (batches, singles int, sent []statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	batches, singles, sent = t.batches, t.singles, t.sent
	t.batches, t.singles, t.sent = 0, 0, nil
	return batches, singles, sent
}

// traced is a pool of one connection whose statements are prepared after their first use.
func traced(t *testing.T, dsn string) (*pgxpool.Pool, *trips) {
	t.Helper()
	tracer := &trips{}
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: dsn, ApplicationName: "traced", MaxConns: 1, Tracer: tracer})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool, tracer
}

// cut is a way to Postgres that can be cut just when an answer has come: what was asked has been done, and
// nobody learns of it.
type cut struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	armed    bool
	cuts     int
	conns    sync.WaitGroup
}

// throughCut returns a DSN that leads to the same database through a cut.
func throughCut(t *testing.T, dsn string) (*cut, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cut{listener: listener, server: u.Host}
	c.conns.Go(c.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		c.conns.Wait()
	})
	u.Host = listener.Addr().String()
	return c, u.String()
}

// arm cuts the connection that gets the next answer.
func (c *cut) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = true
}

func (c *cut) happened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}

func (c *cut) fires() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fires := c.armed
	c.armed = false
	if fires {
		c.cuts++
	}
	return fires
}

func (c *cut) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server) //nolint:noctx // ends with its listener
		if err != nil {
			_ = client.Close()
			continue
		}
		c.conns.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		c.conns.Go(func() {
			defer client.Close()
			defer server.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := server.Read(buf)
				if err != nil || c.fires() {
					return
				}
				if _, err := client.Write(buf[:n]); err != nil {
					return
				}
			}
		})
	}
}
