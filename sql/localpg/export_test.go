package localpg

import (
	"context"
	"os"
)

// WatchdogPID lets a test kill what nobody else should know about.
func (s *Server) WatchdogPID() int { return s.watchdog.pid }

// LockFile takes the lock at path, or fails when it is taken.
func LockFile(ctx context.Context, path string) (*os.File, error) {
	return lockFile(ctx, path, func(pid int) error { return &HeldError{Dir: path, PID: pid} })
}

// Unlock ends it.
func Unlock(file *os.File) error { return unlock(file) }
