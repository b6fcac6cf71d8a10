package dbtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	template = "wakelatch_template"
	// Two nodes with their pools, many databases at once.
	maxConnections = "300"
	patience       = time.Minute
)

// Server is a Postgres with a migrated template database. Its localpg.Server can be interrupted and
// resumed, on the same port.
type Server struct {
	*localpg.Server
	admin *pgxpool.Pool
}

// NewServer starts a server that is the test's own and ends with it.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	s, err := start()
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.stop()) })
	return s
}

func start() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server, err := localpg.Start(ctx, localpg.Options{Settings: map[string]string{
		"max_connections": maxConnections,
		// What was committed survives an immediate interruption, as it would in production.
		"synchronous_commit": "on",
	}})
	if err != nil {
		return nil, err
	}
	s := &Server{Server: server}
	if s.admin, err = pgxpool.New(ctx, server.DSN("postgres")); err != nil {
		return nil, errors.Join(fmt.Errorf("open administration pool: %w", err), s.stop())
	}
	if err := s.makeTemplate(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *Server) makeTemplate(ctx context.Context) error {
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return fmt.Errorf("create template database: %w", err)
	}
	pool, err := pg.NewPool(ctx, pg.PoolOptions{DSN: s.DSN(template), ApplicationName: "dbtest", MaxConns: 4})
	if err != nil {
		return err
	}
	err = migrations.Up(ctx, pool)
	pool.Close()
	if err != nil {
		return err
	}
	// Nobody may connect from here on: a connected template cannot be cloned.
	if _, err := s.admin.Exec(ctx, "ALTER DATABASE "+template+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false"); err != nil {
		return fmt.Errorf("seal template database: %w", err)
	}
	return nil
}

// Resume ends an interruption. It replaces localpg's, whose server does not know who was connected before.
func (s *Server) Resume(ctx context.Context) error {
	s.admin.Reset()
	return s.Server.Resume(ctx)
}

func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.admin != nil {
		s.admin.Close()
	}
	return s.Stop(ctx)
}
