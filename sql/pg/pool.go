package pg

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The database's own time-outs. They hold from the first statement of every session, so that a frozen
// node keeps its locks from nobody for long: the waiter gives up after LockTimeout, a statement ends
// after StatementTimeout, and a session left inside a transaction is ended by the server.
const (
	LockTimeout              = 1 * time.Second
	StatementTimeout         = 4 * time.Second
	IdleInTransactionTimeout = 3 * time.Second
)

const (
	connectTimeout    = 3 * time.Second
	pingTimeout       = 2 * time.Second
	keepAliveInterval = 5 * time.Second
	maxConnLifetime   = 30 * time.Minute
	lifetimeJitter    = 5 * time.Minute
)

// PoolOptions are the settings of one pool.
type PoolOptions struct {
	// DSN is a Postgres URL or keyword string.
	DSN string
	// ApplicationName shows in pg_stat_activity; the node's id.
	ApplicationName string
	// MaxConns bounds the pool; 0 leaves pgx's default or the DSN's pool_max_conns.
	MaxConns int32
	// Tracer sees every statement; nil for none.
	Tracer pgx.QueryTracer
	// ExecMode is how statements are sent; 0 leaves pgx's default or the DSN's default_query_exec_mode.
	ExecMode pgx.QueryExecMode
}

// NewPool opens a pool and does not connect: a database that is away at start is met by the first statement.
func NewPool(ctx context.Context, o PoolOptions) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(o.DSN)
	if err != nil {
		return nil, fmt.Errorf("read database url: %w", err)
	}
	configureConn(config.ConnConfig, o.ApplicationName)
	config.ConnConfig.Tracer = o.Tracer
	if o.ExecMode != 0 {
		config.ConnConfig.DefaultQueryExecMode = o.ExecMode
	}
	config.MaxConnLifetime = maxConnLifetime
	config.MaxConnLifetimeJitter = lifetimeJitter
	config.PingTimeout = pingTimeout
	if o.MaxConns > 0 {
		config.MaxConns = o.MaxConns
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	return pool, nil
}

// ParseConnConfig is NewPool's configuration for a connection of its own, such as the listener's. The URL may be a
// pool's: what it says of the pool is left out, since the server would refuse it as a setting of the session.
func ParseConnConfig(dsn, applicationName string) (*pgx.ConnConfig, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read database url: %w", err)
	}
	configureConn(config.ConnConfig, applicationName)
	return config.ConnConfig, nil
}

func configureConn(config *pgx.ConnConfig, applicationName string) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepAliveInterval, Interval: keepAliveInterval, Count: 3,
	}}).DialContext
	params := map[string]string{
		"application_name":                    applicationName,
		"lock_timeout":                        milliseconds(LockTimeout),
		"statement_timeout":                   milliseconds(StatementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(IdleInTransactionTimeout),
		"tcp_keepalives_idle":                 "5",
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
		"default_transaction_isolation":       "read committed",
	}
	maps.Copy(config.RuntimeParams, params)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
