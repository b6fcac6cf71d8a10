package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockFile takes the lock at path, waiting while it is taken for as long as wait, told the pid of the holder, agrees.
// The lock lasts until unlock, or until the last copy of the file, in this process or a child, is closed.
func lockFile(ctx context.Context, path string, wait func(pid int) error) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // others may read who holds it.
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := waitForLock(ctx, file, wait); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Truncate(0), writePID(file)); err != nil {
		return nil, errors.Join(fmt.Errorf("note the holder in lock %q: %w", path, err), unlock(file))
	}
	return file, nil
}

// unlock ends the lock for every copy of the file. To close it is not enough: a process that is being forked just now
// has a copy until it executes its program.
func unlock(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}

func writePID(file *os.File) error {
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func waitForLock(ctx context.Context, file *os.File, wait func(pid int) error) error {
	// The kernel has no call that waits for a file lock and for a context, hence the short steps.
	step := time.NewTicker(20 * time.Millisecond)
	defer step.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			if err := wait(readPID(file.Name())); err != nil {
				return err
			}
		case !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("lock %q: %w", file.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for lock %q: %w", file.Name(), ctx.Err())
		case <-step.C:
		}
	}
}

// readPID returns the number in the first line of a file, 0 for none.
func readPID(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0
	}
	return pid
}

// alive answers for any process, also of another user.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
