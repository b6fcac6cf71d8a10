package dbtest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	// Files are copied: the template is small and nothing of a test server is flushed.
	strategy     = "FILE_COPY"
	poolSize     = 10
	closeTimeout = 10 * time.Second
)

// Database is a migrated database that one test has for itself.
type Database struct {
	// DSN is for what connects by itself: another pool, a listener, a process.
	DSN string
	// Pool is open as long as the test runs.
	Pool *pgxpool.Pool
	// Name is the database's name on its server.
	Name string
}

// New makes a database on the test binary's server; Main must be the package's TestMain.
func New(tb testing.TB) *Database {
	tb.Helper()
	s, err := binary.get()
	require.NoError(tb, err)
	return s.New(tb)
}

// New makes a database on this server.
func (s *Server) New(tb testing.TB) *Database {
	tb.Helper()
	ctx := tb.Context()
	name := "test_" + strings.ToLower(rand.Text())
	_, err := s.admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE "+template+" STRATEGY "+strategy)
	require.NoError(tb, err)
	tb.Cleanup(func() { s.drop(tb, name) })

	d := &Database{DSN: s.DSN(name), Name: name}
	d.Pool, err = pg.NewPool(ctx, pg.PoolOptions{DSN: d.DSN, ApplicationName: name, MaxConns: poolSize})
	require.NoError(tb, err)
	tb.Cleanup(func() { closePool(tb, d.Pool) })
	return d
}

// closePool fails the test, instead of hanging for ever, when a connection was never given back.
func closePool(tb testing.TB, pool *pgxpool.Pool) {
	tb.Helper()
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
		tb.Errorf("a connection of the test's pool was never given back (%d are out)", pool.Stat().AcquiredConns())
	}
}

// drop removes the database with whoever is still connected to it. A server that the test has left
// interrupted, or that ends with the test anyway, keeps it.
func (s *Server) drop(tb testing.TB, name string) {
	tb.Helper()
	if s.PID() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := s.admin.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		tb.Errorf("drop the test's database: %v", err)
	}
}
