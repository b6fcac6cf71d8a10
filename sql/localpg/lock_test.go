package localpg_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// A process that is being forked holds copies of all files until it executes its program.
func TestUnlockDespiteACopyOfTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := localpg.LockFile(t.Context(), path)
	require.NoError(t, err)
	_, err = localpg.LockFile(t.Context(), path)
	var held *localpg.HeldError
	require.ErrorAs(t, err, &held)
	require.Equal(t, os.Getpid(), held.PID)

	fd, err := syscall.Dup(int(lock.Fd()))
	require.NoError(t, err)
	inherited := os.NewFile(uintptr(fd), path)
	defer inherited.Close()
	require.NoError(t, localpg.Unlock(lock))
	again, err := localpg.LockFile(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, localpg.Unlock(again))
}
