package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// leash is the group's leader. Its standard input ends when this process does; then everything in the group ends.
const leash = `trap '' HUP INT QUIT TERM; while read -r line; do :; done; kill -s KILL 0`

const startTimeout = 30 * time.Second

// crew is the processes of nodes and runners.
type crew struct {
	self    string
	environ []string
	logs    string
	failed  func(error) // is told of a member that ended by itself

	leader *exec.Cmd
	hold   *os.File
	ended  sync.WaitGroup
}

// newCrew starts the leader of the group. Its end is close.
func newCrew(ctx context.Context, o Options, logs string, failed func(error)) (*crew, error) {
	wait, hold, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the leash: %w", err)
	}
	defer func() { _ = wait.Close() }()
	c := &crew{self: o.Self, environ: o.Environ, logs: logs, failed: failed, hold: hold}
	c.leader = exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", leash)
	c.leader.Stdin = wait
	c.leader.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.leader.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the leash: %w", err), hold.Close())
	}
	return c, nil
}

// close kills every member and returns when they are gone.
func (c *crew) close() {
	_ = c.hold.Close()
	_ = c.leader.Wait()
	c.ended.Wait()
}

// start starts a member, or starts it again, and returns when it says that it is ready.
func (c *crew) start(ctx context.Context, m *member) error {
	log, err := os.OpenFile(c.logFile(m), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", m.name, err)
	}
	said := &listener{log: log, awaited: m.ready, found: make(chan string, 1)}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.self, m.args...) //nolint:gosec // it is this program
	cmd.Env, cmd.Stdout, cmd.Stderr = c.environ, said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: c.leader.Process.Pid}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", m.name, err), log.Close())
	}
	ended := make(chan struct{})
	m.started(cmd.Process, ended)
	c.ended.Go(func() {
		err := cmd.Wait()
		_ = log.Close()
		if !m.wasKilled() && ctx.Err() == nil {
			c.failed(fmt.Errorf("%s ended by itself (%w); its log is %s", m.name, endOf(err), c.logFile(m)))
		}
		close(ended)
	})
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case text := <-said.found:
		m.serves(text)
		return nil
	case <-ended:
		return fmt.Errorf("%s ended before it was ready; its log is %s", m.name, c.logFile(m))
	case <-timer.C:
		return fmt.Errorf("%s was not ready after %s; its log is %s", m.name, startTimeout, c.logFile(m))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *crew) logFile(m *member) string { return filepath.Join(c.logs, m.name+".log") }

// endOf is how a process ended, which is no error when it exited with 0.
func endOf(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
