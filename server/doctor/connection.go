package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	// A notification takes far less.
	listenPatience = 3 * time.Second
	closePatience  = time.Second
)

// direct opens a connection as a node's listener does.
func direct(ctx context.Context, url string) (*pgx.Conn, func(), error) {
	config, err := pg.ParseConnConfig(url, "wakelatch doctor")
	if err != nil {
		return nil, nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	return conn, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		_ = conn.Close(ctx) // it is given up whatever it says
	}, nil
}

// listener sends a notification through the pool's URL and waits for it on the listener's.
func (p *patient) listener(ctx context.Context) (Finding, error) {
	conn, hangUp, err := direct(ctx, p.ListenDatabaseURL)
	if err != nil {
		return Finding{Status: Fail, Summary: fmt.Sprintf("the listener's URL leads nowhere: %v", err)}, nil
	}
	defer hangUp()
	channel := "wakelatch_doctor_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return Finding{Status: Fail, Summary: fmt.Sprintf("LISTEN is refused: %v", err)}, nil
	}
	began := time.Now()
	if _, err := p.pool.Exec(ctx, "SELECT pg_notify($1, 'hello')", channel); err != nil {
		return Finding{}, err
	}
	wait, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	if _, err := conn.WaitForNotification(wait); err != nil {
		return p.deaf(ctx, err)
	}
	p.heard = true
	return okay("a notification came back in %.1f ms", float64(time.Since(began).Microseconds())/1000)
}

// deaf says why a notification did not come.
func (p *patient) deaf(ctx context.Context, err error) (Finding, error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		return Finding{Status: Fail, Summary: fmt.Sprintf("the listening connection broke: %v", err)}, nil
	}
	const which = "SELECT current_database(), pg_postmaster_start_time()::text"
	type place struct{ Database, Start string }
	pool, err := query[place](ctx, p, which)
	if err != nil {
		return Finding{}, err
	}
	conn, hangUp, err := direct(ctx, p.ListenDatabaseURL)
	if err != nil {
		return Finding{}, err
	}
	defer hangUp()
	there, err := collect[place](ctx, conn, which)
	if err != nil {
		return Finding{}, err
	}
	if pool[0] != there[0] {
		return Finding{Status: Fail, Summary: fmt.Sprintf("the two URLs lead to different databases: %s (server up since %s) and %s (server up since %s)",
			pool[0].Database, pool[0].Start, there[0].Database, there[0].Start)}, nil
	}
	return Finding{Status: Fail, Summary: fmt.Sprintf("no notification came within %s: something between the nodes and Postgres pools "+
		"transactions; give the nodes a --listen-database-url that leads to Postgres itself", listenPatience)}, nil
}

// pooler says whether something stands between the nodes and Postgres: a pooler hands out process ids of its own.
func (p *patient) pooler(ctx context.Context) (Finding, error) {
	listens, err := pooled(ctx, p.ListenDatabaseURL)
	if err != nil {
		return Finding{}, err
	}
	pools, err := pooled(ctx, p.DatabaseURL)
	switch {
	case err != nil:
		return Finding{}, err
	case listens && p.heard:
		return Finding{Status: Warn, Summary: "the listener's URL leads through a pooler such as PgBouncer; notifications come through, which they do " +
			"with session pooling only, and each node holds one of its connections for good"}, nil
	case listens:
		return Finding{Status: Fail, Summary: "the listener's URL leads through a pooler such as PgBouncer, where LISTEN is lost " +
			"whenever the pooler gives the connection to somebody else; give the nodes a --listen-database-url that leads to Postgres itself"}, nil
	case pools:
		return prepares(ctx, p.DatabaseURL)
	}
	return okay("none in the way")
}

// prepares says whether the pooler carries the statements that nodes prepare: one that does not gives a session the
// backend on which another one prepared the same, or one where it has not.
func prepares(ctx context.Context, url string) (Finding, error) {
	for range 3 {
		conn, hangUp, err := direct(ctx, url)
		if err != nil {
			return Finding{}, err
		}
		for range 2 {
			if _, err = conn.Exec(ctx, "SELECT $1::text AS wakelatch_doctor", "prepared"); err != nil {
				break
			}
		}
		hangUp()
		if err != nil {
			return Finding{Status: Fail, Summary: fmt.Sprintf("the pooler does not carry prepared statements (%v): "+
				"add default_query_exec_mode=cache_describe to the database url, or use PgBouncer 1.21 or newer with max_prepared_statements", err)}, nil
		}
	}
	return okay("the pool goes through a pooler, the listener does not")
}

func pooled(ctx context.Context, url string) (bool, error) {
	conn, hangUp, err := direct(ctx, url)
	if err != nil {
		return false, err
	}
	defer hangUp()
	// Statements of the simple protocol, which every pooler passes on.
	var backend uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&backend); err != nil {
		return false, fmt.Errorf("ask for the backend: %w", err)
	}
	return backend != conn.PgConn().PID(), nil
}
