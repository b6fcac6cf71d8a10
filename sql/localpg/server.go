package localpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// superuser is the one role of a new server.
const superuser = "wakelatch"

// Mode is how a server is interrupted.
type Mode int

const (
	// Fast ends all sessions and shuts down in order.
	Fast Mode = iota
	// Immediate is a crash: nothing is written any more, and the next start recovers.
	Immediate
)

func (m Mode) signal() syscall.Signal {
	if m == Immediate {
		return syscall.SIGQUIT
	}
	return syscall.SIGINT
}

// Server is a running Postgres, or one that is interrupted. Its methods may be called by several goroutines at once.
type Server struct {
	options  Options
	dir      string
	cluster  string // the data directory in the sense of Postgres
	socket   string
	account  account
	binaries Binaries
	password string
	port     int
	log      *os.File
	watchdog *watchdog

	mu         sync.Mutex
	postmaster *process // nil while interrupted and once stopped
	stopped    bool
}

// DSN is the superuser's connection string for a database; "postgres" always exists.
func (s *Server) DSN(database string) string {
	dsn := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     "127.0.0.1:" + strconv.Itoa(s.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return dsn.String()
}

// DataDir is the folder in use, which is not the one asked for when the server's account cannot reach that.
func (s *Server) DataDir() string { return s.dir }

// Version is the major version of the server.
func (s *Server) Version() int { return s.binaries.Major }

// BinDir is the folder of the server's binaries.
func (s *Server) BinDir() string { return s.binaries.Dir }

// Port is the TCP port on 127.0.0.1; it stays the same from Start to Stop.
func (s *Server) Port() int { return s.port }

// PID is that of the server's first process, 0 while there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postmaster == nil {
		return 0
	}
	return s.postmaster.pid
}

// Interrupt shuts the server down until Resume, as an outage does. It returns when no connection is left.
func (s *Server) Interrupt(ctx context.Context, mode Mode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postmaster == nil {
		return nil
	}
	if err := s.postmaster.signal(mode.signal()); err != nil {
		return err
	}
	select {
	case <-s.postmaster.exited:
		s.postmaster = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupt the server in %q: %w", s.dir, ctx.Err())
	}
}

// Resume starts an interrupted server again, on the same port, and returns when it accepts connections.
func (s *Server) Resume(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("resume the server in %q: it has been stopped for good", s.dir)
	}
	if s.postmaster != nil {
		return nil
	}
	return s.startPostmaster(ctx)
}

// Stop ends the server and removes what is temporary. When the context ends first, the server is stopped the hard way,
// which loses nothing either, and the error says so. A second call does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	s.watchdog.end()
	err := s.awaitEnd(ctx)
	s.postmaster = nil
	return errors.Join(err, s.log.Close(), s.freeFolder())
}

// freeFolder ends the lock, which a server that could not be ended keeps through its watchdog.
func (s *Server) freeFolder() error {
	select {
	case <-s.watchdog.ended:
		return unlock(s.watchdog.lock)
	default:
		return s.watchdog.lock.Close()
	}
}

func (s *Server) awaitEnd(ctx context.Context) error {
	select {
	case <-s.watchdog.ended:
		return s.endWithoutWatchdog()
	case <-ctx.Done():
	}
	cut := fmt.Errorf("stop the server in %q in order: %w", s.dir, ctx.Err())
	if s.postmaster != nil {
		cut = errors.Join(cut, s.postmaster.signal(Immediate.signal()))
	}
	hard := time.NewTimer(10 * time.Second)
	defer hard.Stop()
	select {
	case <-s.watchdog.ended:
		return errors.Join(cut, s.endWithoutWatchdog())
	case <-hard.C:
		return errors.Join(cut, fmt.Errorf("watchdog %d goes on waiting for the server's processes", s.watchdog.pid))
	}
}

// endWithoutWatchdog finds nothing to do unless somebody has killed the watchdog.
func (s *Server) endWithoutWatchdog() error {
	if s.postmaster != nil {
		if err := s.postmaster.signal(Immediate.signal()); err != nil {
			return err
		}
		<-s.postmaster.exited
	}
	if s.options.DataDir == "" {
		return errors.Join(os.RemoveAll(s.socket), os.RemoveAll(s.dir))
	}
	return os.RemoveAll(s.socket)
}
