//go:build programs

package server_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// documentedBouncer is the lines of pgbouncer.ini that docs/operations.md asks for.
func documentedBouncer(t *testing.T) string {
	t.Helper()
	return operationsBlock(t, "ini")
}

// operationsBlock is the only block of this language in docs/operations.md.
func operationsBlock(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "```"+language+"\n")
	require.True(t, found)
	block, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	return block
}

// bounce starts PgBouncer in front of the database and returns the way through it.
func bounce(t *testing.T, d *dbtest.Database) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	direct, err := pgx.ParseConfig(d.DSN)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	dir, err := os.MkdirTemp("", "wakelatch-bouncer-") //nolint:usetesting // another account must reach it
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // another account must reach it
	config := fmt.Sprintf("[databases]\n%s = host=%s port=%d user=%s password=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\n"+
		"unix_socket_dir =\nauth_type = any\n%s", d.Name, direct.Host, direct.Port, direct.User, direct.Password, port, documentedBouncer(t))
	file := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o644)) //nolint:gosec // another account must read it
	args := []string{file}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	through := &url.URL{
		Scheme: "postgres", User: url.UserPassword("any", "any"), Host: fmt.Sprintf("127.0.0.1:%d", port), Path: d.Name, RawQuery: "sslmode=disable",
	}
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", through.Host)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, patience, tick, "pgbouncer does not listen: %s", log)
	return through.String()
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// documentedRole sets the time-outs in the database, as docs/operations.md asks for, since PgBouncer does not pass them on.
func documentedRole(t *testing.T, d *dbtest.Database) {
	t.Helper()
	for statement := range strings.SplitSeq(operationsBlock(t, "sql"), ";") {
		statement = strings.NewReplacer("DATABASE wakelatch", "DATABASE "+d.Name).Replace(strings.TrimSpace(statement))
		if statement != "" {
			_, err := d.Pool.Exec(t.Context(), statement)
			require.NoError(t, err, statement)
		}
	}
}

func TestAWakeGoesThroughPgBouncerInTransactionMode(t *testing.T) {
	d := dbtest.New(t)
	documentedRole(t, d)
	through := bounce(t, d) + "&default_query_exec_mode=cache_describe"
	log := &lockedBuffer{}
	behind := func(o *server.Options) {
		o.DatabaseURL, o.ListenDatabaseURL = through, d.DSN
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	a, b := start(t, d, behind), start(t, d, behind)
	spawn(t, a)
	wholeWake(t, a, b)
	for range 10 {
		must(t, a, 200, "POST", "/_electric/entities/demo/one/send", `{"payload":"again"}`)
		wholeWake(t, b, a)
	}
	require.NotContains(t, log.String(), "level=ERROR")
	require.NotContains(t, log.String(), "did not arrive")

	pool, err := pgx.Connect(t.Context(), through)
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close(context.WithoutCancel(t.Context()))) }()
	var timeout string
	require.NoError(t, pool.QueryRow(t.Context(), "SHOW statement_timeout").Scan(&timeout))
	require.Equal(t, "4s", timeout, "the time-outs hold behind PgBouncer too")
}

// A listener that PgBouncer cuts off hears nothing. The node says so, and is slow and not wrong.
func TestAListenerBehindPgBouncerIsNoticed(t *testing.T) {
	d := dbtest.New(t)
	documentedRole(t, d)
	through := bounce(t, d) + "&default_query_exec_mode=cache_describe"
	log := &lockedBuffer{}
	deaf := func(o *server.Options) {
		o.DatabaseURL = through
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	a, b := start(t, d, deaf), start(t, d, deaf)
	spawn(t, a)
	wholeWake(t, a, b)
	require.Eventually(t, func() bool {
		return strings.Contains(log.String(), "a notification to this node did not arrive: do listener and pool use the same database?")
	}, 3*patience, tick, "%s", log)
}
