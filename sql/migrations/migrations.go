// Package migrations brings a database to the schema this build was written for: Wakelatch's own
// migrations (goose, forward only) and River's.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/wakelatch/wakelatch/sql/pg"
)

//go:embed *.sql
var files embed.FS

// ErrPending means that the database lacks migrations of this build.
var ErrPending = errors.New("the database schema is not up to date; run: wakelatch migrate up")

// RiverSchema holds River's tables. It is named everywhere, so that no session's search_path decides it.
const RiverSchema = "public"

const versionTable = "public.wakelatch_schema_version"

// Status is one migration and whether the database has it.
type Status struct {
	Name    string
	Applied bool
}

// lockKey is the advisory lock under which one process migrates a database at a time.
const lockKey = 0x77616b656c61 // "wakela"

// Up applies every missing migration. Of several processes that call it at once each waits for the one
// before and finds nothing left to do. It works on connections of its own, without the pool's time-outs.
func Up(ctx context.Context, pool *pgxpool.Pool) error {
	config := pool.Config()
	maps.Copy(config.ConnConfig.RuntimeParams, map[string]string{
		"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0",
	})
	config.MaxConns = max(config.MaxConns, connections)
	patient, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("open pool for migrations: %w", err)
	}
	defer patient.Close()
	return pg.InTx(ctx, patient, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lockKey)); err != nil {
			return fmt.Errorf("wait for another migration: %w", err)
		}
		return up(ctx, patient)
	})
}

// connections are what Up needs: one holds the lock, the others migrate.
const connections = 4

func up(ctx context.Context, pool *pgxpool.Pool) error {
	provider, database, err := newProvider(pool)
	if err != nil {
		return err
	}
	defer func() { _ = database.Close() }()
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("apply wakelatch migrations: %w", err)
	}
	river, err := newRiver(pool)
	if err != nil {
		return err
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("apply river migrations: %w", err)
	}
	return nil
}

// Check returns ErrPending, wrapped with what is missing, unless the schema is complete.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	list, err := List(ctx, pool)
	if err != nil {
		return err
	}
	for _, s := range list {
		if !s.Applied {
			return fmt.Errorf("%w (first missing: %s)", ErrPending, s.Name)
		}
	}
	return nil
}

// List returns every migration of this build in order, River's last. It changes nothing: a database
// without a version table has no migration applied.
func List(ctx context.Context, pool *pgxpool.Pool) ([]Status, error) {
	provider, database, err := newProvider(pool)
	if err != nil {
		return nil, err
	}
	defer func() { _ = database.Close() }()
	out, err := listOwn(ctx, pool, provider)
	if err != nil {
		return nil, fmt.Errorf("read wakelatch migrations: %w", err)
	}
	river, err := newRiver(pool)
	if err != nil {
		return nil, err
	}
	existing, err := river.ExistingVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read river migrations: %w", err)
	}
	applied := make(map[int]bool, len(existing))
	for _, m := range existing {
		applied[m.Version] = true
	}
	for _, m := range river.AllVersions() {
		out = append(out, Status{Name: fmt.Sprintf("river %03d %s", m.Version, m.Name), Applied: applied[m.Version]})
	}
	return out, nil
}

// listOwn looks for the version table first, which goose would make in order to look.
func listOwn(ctx context.Context, pool *pgxpool.Pool, provider *goose.Provider) ([]Status, error) {
	var out []Status
	var exists bool
	if err := pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", versionTable).Scan(&exists); err != nil {
		return nil, err
	}
	if !exists {
		for _, s := range provider.ListSources() {
			out = append(out, Status{Name: s.Path})
		}
		return out, nil
	}
	own, err := provider.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range own {
		out = append(out, Status{Name: s.Source.Path, Applied: s.State == goose.StateApplied})
	}
	return out, nil
}

func newProvider(pool *pgxpool.Pool) (*goose.Provider, *sql.DB, error) {
	database := stdlib.OpenDBFromPool(pool)
	provider, err := goose.NewProvider(goose.DialectPostgres, database, fs.FS(files),
		goose.WithTableName(versionTable))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read embedded migrations: %w", err), database.Close())
	}
	return provider, database, nil
}

func newRiver(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: RiverSchema})
	if err != nil {
		return nil, fmt.Errorf("read river's migrations: %w", err)
	}
	return river, nil
}
