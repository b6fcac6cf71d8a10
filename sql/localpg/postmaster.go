package localpg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// startOnFreePort prefers the port of the last start. A port can be lost to another process between the look and the
// bind; then the next one is tried.
func (s *Server) startOnFreePort(ctx context.Context) error {
	file := filepath.Join(s.dir, "port")
	wanted := readPID(file)
	for attempt := 1; ; attempt++ {
		var err error
		if s.port, err = freePort(wanted); err != nil {
			return err
		}
		if err = s.startPostmaster(ctx); err == nil {
			return writeFile(file, strconv.Itoa(s.port)+"\n")
		}
		if attempt == 3 || ctx.Err() != nil || s.postmaster != nil || portIsFree(s.port) {
			return err
		}
	}
}

// startPostmaster starts the server and waits until it accepts connections or has exited.
func (s *Server) startPostmaster(ctx context.Context) error {
	p, err := s.watchdog.spawn(ctx, s.account, s.log, filepath.Join(s.binaries.Dir, "postgres"), s.arguments()...)
	if err != nil {
		return err
	}
	s.postmaster = p
	// The server reports in a file, and a file has no signal to wait for that Linux and macOS share.
	step := time.NewTicker(5 * time.Millisecond)
	defer step.Stop()
	for {
		pid, ready := s.readStatus()
		if pid == p.pid && ready {
			return nil
		}
		select {
		case <-p.exited:
			s.postmaster = nil
			// It refuses to start beside another server on the same data, and only then leaves the file to that one.
			if pid, _ := s.readStatus(); pid != p.pid && alive(pid) {
				return &HeldError{Dir: s.dir, PID: pid}
			}
			return fmt.Errorf("postgres %d has exited while starting: %w", s.binaries.Major, exitError(p))
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres to accept connections: %w", ctx.Err())
		case <-step.C:
		}
	}
}

func exitError(p *process) error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// readStatus reads the server's own file: its pid in the first line and its state in the eighth.
func (s *Server) readStatus() (pid int, ready bool) {
	path := filepath.Join(s.cluster, "postmaster.pid")
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	lines := strings.Split(string(text), "\n")
	pid, err = strconv.Atoi(lines[0])
	if err != nil {
		return 0, false
	}
	return pid, len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
}

func (s *Server) arguments() []string {
	settings := map[string]string{
		"fsync":              "on",
		"synchronous_commit": "on",
	}
	if !s.options.Durable {
		settings = map[string]string{
			"fsync":              "off",
			"synchronous_commit": "off",
			"full_page_writes":   "off",
			// Nothing is replicated from a server like this, and less is written without the possibility.
			"wal_level":       "minimal",
			"max_wal_senders": "0",
			// A checkpoint in the middle of a test is work that no test asks for.
			"checkpoint_timeout": "1h",
			"max_wal_size":       "4GB",
		}
	}
	maps.Copy(settings, s.options.Settings)
	maps.Copy(settings, map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": s.socket,
	})
	args := []string{"-D", s.cluster}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// socketFolder makes a fresh folder for the server's socket. A socket's path has room for about 100 characters, which
// neither a data directory nor the temporary folder of macOS is sure to leave.
func (a account) socketFolder() (string, error) {
	base := "/tmp"
	if a.closedAt(base) != "" {
		base = "/var/tmp"
	}
	dir, err := os.MkdirTemp(base, "wakelatch-")
	if err != nil {
		return "", fmt.Errorf("folder for the server's socket: %w", err)
	}
	if err := a.give(dir); err != nil {
		return "", errors.Join(fmt.Errorf("folder for the server's socket: %w", err), os.Remove(dir))
	}
	return dir, nil
}
