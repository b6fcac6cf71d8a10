//go:build programs

package doctor_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/doctor"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// pgbouncer runs the real one in front of a database and returns the URL through it.
func pgbouncer(t *testing.T, dsn, mode string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // only its port is wanted
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	dir, err := os.MkdirTemp("/tmp", "wakelatch-pgbouncer-") //nolint:usetesting // another account reads it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	password, _ := u.User.Password()
	users := filepath.Join(dir, "users.txt")
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", u.User.Username(), password), 0o644)) //nolint:gosec // another account reads it
	config := filepath.Join(dir, "pgbouncer.ini")
	//nolint:gosec // another account reads it
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = %s
ignore_startup_parameters = extra_float_digits,lock_timeout,statement_timeout,idle_in_transaction_session_timeout,tcp_keepalives_idle,tcp_keepalives_interval,tcp_keepalives_count,default_transaction_isolation
`, u.Hostname(), u.Port(), port, users, mode), 0o644))
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // another account reads it
	cmd := exec.Command("pgbouncer", config) //nolint:noctx // it ends with the test
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody(t)}
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	})
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	q := u.Query()
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", u.Host) //nolint:noctx // it answers at once or not at all
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, patience, 20*time.Millisecond)
	return u.String()
}

func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	who, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func TestANodeBehindPgBouncer(t *testing.T) {
	d := dbtest.New(t)
	through := pgbouncer(t, d.DSN, "transaction") + "&default_query_exec_mode=cache_describe"
	s := node(t, server.Options{DatabaseURL: through, ListenDatabaseURL: d.DSN})
	findings, err := doctor.Examine(t.Context(), doctor.Options{DatabaseURL: through, ListenDatabaseURL: d.DSN, URL: s.URL()})
	require.NoError(t, err)
	for _, f := range findings {
		if f.Check != "durability" { // a test's server writes nothing through
			require.NotEqual(t, doctor.Fail, f.Status, "%s: %s", f.Check, f.Summary)
		}
	}
}

func TestThroughPgBouncer(t *testing.T) {
	d := dbtest.New(t)
	for mode, want := range map[string]doctor.Status{"transaction": doctor.Fail, "session": doctor.Warn} {
		through := pgbouncer(t, d.DSN, mode)
		f := examine(t, "pooler", doctor.Options{DatabaseURL: through})
		require.Equal(t, want, f.Status, mode)
		require.Equal(t, want == doctor.Fail, examine(t, "listener", doctor.Options{DatabaseURL: through}).Status == doctor.Fail, mode)
		f = examine(t, "pooler", doctor.Options{DatabaseURL: through, ListenDatabaseURL: d.DSN})
		if f.Status == doctor.Fail { // older than 1.21, or not told to keep prepared statements
			require.Contains(t, f.Summary, "default_query_exec_mode=cache_describe")
			f = examine(t, "pooler", doctor.Options{DatabaseURL: through + "&default_query_exec_mode=cache_describe", ListenDatabaseURL: d.DSN})
		}
		require.Equal(t, doctor.OK, f.Status, mode)
		require.Contains(t, f.Summary, "the pool goes through a pooler")
		require.Equal(t, doctor.OK, examine(t, "listener", doctor.Options{DatabaseURL: through, ListenDatabaseURL: d.DSN}).Status, mode)
	}
}
