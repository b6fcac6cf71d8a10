package lifecycle_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

// nodeEnv makes the test binary a node: it holds the settings as JSON.
const nodeEnv = "WAKELATCH_LIFECYCLE_NODE"

// process is a node with a process of its own.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process is reaped
}

// startProcess starts a node that can be killed and frozen.
func (c *cluster) startProcess(changes ...change) *node {
	c.t.Helper()
	o := c.options
	for _, f := range changes {
		f(&o)
	}
	settings, err := json.Marshal(o) //nolint:musttag // the same binary reads it
	require.NoError(c.t, err)
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), os.Args[0], "-test.run=^$") //nolint:gosec // it is this test
	cmd.Env = append(os.Environ(), nodeEnv+"="+string(settings))
	cmd.Stderr = &output{w: c.t}
	stdout, err := cmd.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, cmd.Start())
	p := &process{cmd: cmd, gone: make(chan struct{})}
	lines := bufio.NewReader(stdout)
	line, readErr := lines.ReadString('\n')
	go func() {
		_ = cmd.Wait()
		close(p.gone)
	}()
	n := &node{c: c, url: strings.TrimSpace(line), client: newHTTPClient(c.t), proc: p}
	c.t.Cleanup(n.kill)
	require.NoError(c.t, readErr, "the node process did not start")
	return n
}

// kill ends a node process with SIGKILL and waits until it is gone.
func (n *node) kill() {
	_ = n.proc.cmd.Process.Kill()
	<-n.proc.gone
}

func (n *node) signal(s syscall.Signal) {
	n.c.t.Helper()
	require.NoError(n.c.t, n.proc.cmd.Process.Signal(s))
}

// runNode is the node process.
func runNode(settings string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var o server.Options
	if err := json.Unmarshal([]byte(settings), &o); err != nil { //nolint:musttag // the same binary wrote it
		fmt.Fprintln(os.Stderr, "read settings:", err)
		return 2
	}
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := server.New(o)
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start node:", err)
		return 1
	}
	fmt.Println(s.URL()) //nolint:forbidigo // the parent process reads it
	select {
	case <-ctx.Done():
	case <-s.Done():
	}
	if err := s.Stop(context.WithoutCancel(ctx)); err != nil {
		return 1
	}
	return 0
}
