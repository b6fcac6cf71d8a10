package localpg_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// awaitGone waits for a process that is not ours, of whose end nothing tells us.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, 30*time.Second, 5*time.Millisecond)
}

// awaitFree waits until neither a process nor its watchdog uses the directory. The file is opened before the end.
func awaitFree(t *testing.T, dir string) (wait func()) {
	t.Helper()
	lock, err := os.Open(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	return func() {
		defer lock.Close()
		require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	}
}

func TestKilledHolderOfDurableData(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	held := hold(t, order{DataDir: dir, Durable: true})
	execute(t, held.DSN, "CREATE TABLE kept ()")
	session := connect(t, held.DSN)
	held.kill(t)

	s := start(t, localpg.Options{DataDir: dir, Durable: true})
	awaitGone(t, held.PID)
	require.Error(t, session.Ping(t.Context()))
	require.Equal(t, held.DSN, s.DSN("postgres"))
	execute(t, s.DSN("postgres"), "SELECT FROM kept")
}

// A server that takes its time to shut down still has the data.
func TestDirectoryIsHeldUntilTheServerIsGone(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	held := hold(t, order{DataDir: dir})
	require.NoError(t, syscall.Kill(held.PID, syscall.SIGSTOP))
	held.kill(t)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := localpg.Start(ctx, localpg.Options{DataDir: dir})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, filepath.Join(dir, "lock"))

	require.NoError(t, syscall.Kill(held.PID, syscall.SIGCONT))
	start(t, localpg.Options{DataDir: dir})
}

func TestKilledHolderOfTemporaryData(t *testing.T) {
	t.Parallel()
	held := hold(t, order{})
	socket := show(t, connect(t, held.DSN), "unix_socket_directories")
	wait := awaitFree(t, held.DataDir)
	held.kill(t)
	wait()
	awaitGone(t, held.PID)
	require.NoDirExists(t, held.DataDir)
	require.NoDirExists(t, socket)
}

// Ctrl-C goes to every process of the terminal's foreground group. Whoever holds the server drains first and needs it
// for that.
func TestInterruptOfTheProcessGroupSparesTheServer(t *testing.T) {
	t.Parallel()
	held := hold(t, order{})
	require.NoError(t, syscall.Kill(-held.cmd.Process.Pid, syscall.SIGINT))
	var after report
	require.NoError(t, held.output.Decode(&after), "the holder has had the signal")
	require.Equal(t, held.report, after)
	execute(t, held.DSN, "SELECT 1")
	held.stop(t)
	require.NoDirExists(t, held.DataDir)
}

func TestSecondHolderIsToldWhoTheFirstIs(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	held := hold(t, order{DataDir: dir})
	_, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	var by *localpg.HeldError
	require.ErrorAs(t, err, &by)
	require.Equal(t, &localpg.HeldError{Dir: dir, PID: held.cmd.Process.Pid}, by)
	execute(t, held.DSN, "SELECT 1")
	held.stop(t)

	start(t, localpg.Options{DataDir: dir})
	_, err = localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	require.ErrorAs(t, err, &by)
	require.Equal(t, os.Getpid(), by.PID, "a second one in the same process is no better")
}

// Somebody who kills with a broad name takes the watchdog too; then Stop does its work.
func TestStopWithoutAWatchdog(t *testing.T) {
	t.Parallel()
	s, err := localpg.Start(t.Context(), localpg.Options{})
	require.NoError(t, err)
	socket := show(t, connect(t, s.DSN("postgres")), "unix_socket_directories")
	require.NoError(t, syscall.Kill(s.WatchdogPID(), syscall.SIGKILL))
	stop(t, s)
	_, err = pgx.Connect(t.Context(), s.DSN("postgres"))
	require.Error(t, err)
	require.NoDirExists(t, s.DataDir())
	require.NoDirExists(t, socket)
}
