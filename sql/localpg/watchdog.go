package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// watch is the watchdog. Its standard input gives, one a line, the pid to signal at the end, 0 for none; the input's
// end is the end. Descriptor 3 is the lock, kept open until the last line has run. Descriptor 4 ends when no process
// of the server is left: all of them hold the other side. The arguments are the signal and what to remove.
const watch = `
trap '' HUP INT QUIT TERM
signal=$1; shift
pid=0
while read -r line; do pid=$line; done
[ "$pid" -gt 0 ] && kill -s "$signal" "$pid"
read -r line <&4
rm -rf -- "$@"
`

// gate holds a process back until the watchdog knows its pid. If we die before, the read fails and nothing has begun.
const gate = `read -r go && exec "$@" </dev/null`

// watchdog ends the processes that it guards when this process ends.
type watchdog struct {
	pid   int
	tell  *os.File // the watchdog's standard input
	alive *os.File // inherited by every process of the server
	lock  *os.File // shared with the watchdog, so that neither's death alone frees the directory
	ended chan struct{}

	closing sync.Once
}

// startWatchdog starts it with the lock, which stays the caller's if that fails, and what to do at the end.
func startWatchdog(ctx context.Context, lock *os.File, signal string, remove ...string) (*watchdog, error) {
	listen, tell, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the watchdog: %w", err)
	}
	defer listen.Close()
	gone, alive, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pipe to the watchdog: %w", err), tell.Close())
	}
	defer gone.Close()

	args := append([]string{"-c", watch, "wakelatch-watchdog", signal}, remove...)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", args...)
	cmd.Dir, cmd.Env = "/", environment()
	cmd.Stdin = listen
	cmd.ExtraFiles = []*os.File{lock, gone}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the watchdog: %w", err), tell.Close(), alive.Close())
	}
	w := &watchdog{pid: cmd.Process.Pid, tell: tell, alive: alive, lock: lock, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // How it ended does not matter: whoever waits looks at what is left.
		close(w.ended)
	}()
	return w, nil
}

// guard names the process to signal at the end, 0 for none.
func (w *watchdog) guard(pid int) error {
	_, err := w.tell.WriteString(strconv.Itoa(pid) + "\n")
	return err
}

// end begins the end; ended is closed when it is over.
func (w *watchdog) end() {
	w.closing.Do(func() {
		_ = w.tell.Close()
		_ = w.alive.Close()
	})
}

// process is a guarded child.
type process struct {
	pid    int
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of the exit; valid once exited is closed
}

// spawn starts a program as the account, its output in log.
func (w *watchdog) spawn(ctx context.Context, acc account, log *os.File, program string, args ...string) (*process, error) {
	wait, open, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to %s: %w", program, err)
	}
	defer open.Close()
	defer wait.Close()
	// The caller's context bounds the start and not the life of the server.
	shell := append([]string{"-c", gate, "sh", program}, args...)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", shell...)
	cmd.Dir, cmd.Env = "/", environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = wait, log, log
	cmd.ExtraFiles = []*os.File{w.alive}
	cmd.SysProcAttr = acc.processAttr()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{pid: cmd.Process.Pid, cmd: cmd, exited: make(chan struct{})}
	err = w.guard(p.pid)
	if err == nil {
		_, err = open.WriteString("go\n")
	}
	go func() {
		p.err = cmd.Wait()
		_ = w.guard(0) // Nobody listens any more when the end has begun, and nobody needs to.
		close(p.exited)
	}()
	if err != nil {
		return nil, fmt.Errorf("tell the watchdog of %s: %w", program, err)
	}
	return p, nil
}

// signal does nothing to a process that has exited.
func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal pid %d: %w", p.pid, err)
	}
	return nil
}

// environment keeps the variables of libpq and of the locale from reaching the server, and spares initdb the search for
// the name of the local time zone.
func environment() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
