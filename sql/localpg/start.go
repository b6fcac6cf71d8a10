package localpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Start starts a server and returns when it accepts connections. The context bounds the start only. The caller calls
// Stop; if the process dies before, the watchdog does the same.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{options: o.withDefaults()}
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	if err := s.start(ctx); err != nil {
		text := s.logTail()
		// The server is of no use to anybody, so it ends at once, also when the caller's context has ended.
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, s.Stop(stop))
		if text != "" {
			return nil, fmt.Errorf("start postgres: %w; its log ends with:\n%s", err, text)
		}
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return s, nil
}

// prepare finds the folder, takes its lock and starts the watchdog. It either does all of that or leaves nothing.
func (s *Server) prepare(ctx context.Context) (err error) {
	if err := s.chooseFolder(); err != nil {
		return err
	}
	temporary := s.options.DataDir == ""
	if temporary {
		defer func() {
			if err != nil {
				err = errors.Join(err, os.RemoveAll(s.dir))
			}
		}()
	}
	lock, err := lockFile(ctx, filepath.Join(s.dir, "lock"), s.waitForHolder())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unlock(lock))
		}
	}()
	s.log, err = os.OpenFile(filepath.Join(s.dir, "postgres.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	if s.socket, err = s.account.socketFolder(); err != nil {
		return errors.Join(err, s.log.Close())
	}
	signal, remove := "INT", []string{s.socket}
	if temporary {
		signal, remove = "QUIT", append(remove, s.dir)
	}
	if s.watchdog, err = startWatchdog(ctx, lock, signal, remove...); err != nil {
		return errors.Join(err, s.log.Close(), os.RemoveAll(s.socket))
	}
	return nil
}

func (s *Server) chooseFolder() (err error) {
	wanted := s.options.DataDir
	if wanted == "" {
		wanted = filepath.Join(os.TempDir(), "wakelatch-"+rand.Text()[:12])
	}
	if wanted, err = filepath.Abs(wanted); err != nil {
		return fmt.Errorf("data directory %q: %w", s.options.DataDir, err)
	}
	if _, err := os.Stat(filepath.Join(wanted, "PG_VERSION")); err == nil {
		return fmt.Errorf("%q was made by initdb and not by wakelatch, which does not know its password; choose another data directory", wanted)
	}
	if s.account, err = chooseAccount(s.options.Accounts, filepath.Join(wanted, "postgres")); err != nil {
		return err
	}
	if s.dir, err = s.account.place(wanted, "data", s.options.Progress); err != nil {
		return err
	}
	s.cluster = filepath.Join(s.dir, "postgres")
	// The folder may be another one now, with an owner of its own.
	s.account, err = chooseAccount(s.options.Accounts, s.cluster)
	return err
}

// waitForHolder waits for a watchdog whose parent has died, and for nobody else. A server that does not end in a
// minute is then the one to name.
func (s *Server) waitForHolder() func(pid int) error {
	begun := time.Now()
	return func(pid int) error {
		if alive(pid) {
			return &HeldError{Dir: s.dir, PID: pid}
		}
		if server, _ := s.readStatus(); alive(server) && time.Since(begun) > time.Minute {
			return &HeldError{Dir: s.dir, PID: server}
		}
		return nil
	}
}

func (s *Server) start(ctx context.Context) error {
	major, err := s.dataVersion()
	if err != nil {
		return err
	}
	if s.binaries, err = choose(ctx, s.options, s.account, s.dir, major); err != nil {
		return err
	}
	if err := s.loadPassword(); err != nil {
		return err
	}
	if major == 0 {
		if err := s.initialize(ctx); err != nil {
			return err
		}
	}
	return s.startOnFreePort(ctx)
}

// dataVersion returns the major version of the data, 0 if there is none yet.
func (s *Server) dataVersion() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.cluster, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(s.cluster); errors.Is(statErr, fs.ErrNotExist) {
			return 0, nil
		}
		return 0, fmt.Errorf("%q exists and is no data directory: it has no PG_VERSION; move it away or choose another data directory", s.cluster)
	}
	if err != nil {
		return 0, fmt.Errorf("version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%q does not have the version of the data: %w", filepath.Join(s.cluster, "PG_VERSION"), err)
	}
	return major, nil
}

// loadPassword makes one the first time. It is written before the server knows it, so that no server has a password
// that is lost.
func (s *Server) loadPassword() error {
	path := filepath.Join(s.dir, "password")
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		s.password = strings.TrimSpace(string(text))
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("password of the server: %w", err)
	}
	s.password = rand.Text()
	return writeFile(path, s.password+"\n")
}

// writeFile replaces a file with one that only its owner can read.
func writeFile(path, text string) error {
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// initialize makes the data directory beside its place and moves it there, so that one cut short is never taken for
// a whole one.
func (s *Server) initialize(ctx context.Context) error {
	made := s.cluster + ".new"
	// Only an initdb that was cut short leaves this, and the lock says that none is running.
	if err := os.RemoveAll(made); err != nil {
		return err
	}
	if err := os.Mkdir(made, 0o700); err != nil {
		return err
	}
	if err := s.account.give(made); err != nil {
		return err
	}
	secret := filepath.Join(s.socket, "password")
	if err := os.WriteFile(secret, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(secret)
	if err := s.account.give(secret); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + made, "--username=" + superuser, "--pwfile=" + secret, "--auth=scram-sha-256",
		"--locale=C", "--encoding=UTF8", "--no-instructions",
	}
	if !s.options.Durable {
		args = append(args, "--no-sync")
	}
	p, err := s.watchdog.spawn(ctx, s.account, s.log, filepath.Join(s.binaries.Dir, "initdb"), args...)
	if err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		return fmt.Errorf("make the data directory %q: %w", s.cluster, ctx.Err())
	}
	if p.err != nil {
		return fmt.Errorf("make the data directory %q with initdb: %w", s.cluster, p.err)
	}
	return os.Rename(made, s.cluster)
}

// logTail returns the last lines of the server's log.
func (s *Server) logTail() string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
