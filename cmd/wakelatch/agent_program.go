package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/wakelatch/wakelatch/server/client"
)

// worker is what runs once for every wake.
type worker struct {
	path  string
	args  []string
	url   string
	grace time.Duration
	log   *slog.Logger
}

// handle runs the program on the messages of a wake. Its exit with 0 is the only success. A wake without a
// message, which SIGCONT makes, is nothing to run a program for.
func (p *worker) handle(ctx context.Context, w *client.Wake) error {
	messages := w.Messages()
	if len(messages) == 0 {
		return nil
	}
	stdin, err := input(messages)
	if err != nil {
		return err
	}
	log := p.log.With("entity_url", w.Entity().URL, "consumer_id", w.ID(), "epoch", w.Epoch())
	texts := 0
	stdout := &lines{most: maxLine, take: func(line []byte) error {
		texts++
		return w.Queue(ctx, event(line, fmt.Sprintf("%s-%d", w.ID(), texts)))
	}}
	stderr := &lines{most: maxLogLine, cut: true, take: func(line []byte) error {
		log.InfoContext(ctx, "program says", "line", string(line))
		return nil
	}}
	if err := p.run(ctx, w, stdin, stdout, stderr); err != nil {
		return err
	}
	return stdout.close()
}

// run runs the program until it ends. It has a process group of its own: a Ctrl-C at the terminal, which is
// for us to drain, does not reach it, and what it started ends with it.
func (p *worker) run(ctx context.Context, w *client.Wake, stdin io.Reader, stdout, stderr *lines) error {
	cmd := exec.CommandContext(ctx, p.path, p.args...) //nolint:gosec // to run a program of the user's choice is what this is for
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.Env = append(environment(),
		"WAKELATCH_URL="+p.url,
		"WAKELATCH_ENTITY="+w.Entity().URL,
		"WAKELATCH_STREAM="+w.Stream(),
		"WAKELATCH_TOKEN="+w.Token(),
		"WAKELATCH_WAKE="+w.ID(),
		"WAKELATCH_EPOCH="+strconv.FormatInt(w.Epoch(), 10),
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	// After it the program itself is killed, and a pipe that somebody else still holds is let go of.
	cmd.WaitDelay = p.grace
	err := cmd.Run()
	if cmd.Process != nil && (ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay)) {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	_ = stderr.close()
	switch {
	case stdout.failure != nil:
		// The program may have failed only because nobody read on.
		return stdout.failure
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("program was stopped: %w", context.Cause(ctx))
	case errors.Is(err, exec.ErrWaitDelay):
		return fmt.Errorf("program left something running that holds its output: %w", err)
	case err != nil:
		return fmt.Errorf("program failed: %w", err)
	}
	return nil
}

// environment is ours without the API key: the program gets the token of its claim, and nothing that opens more.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "WAKELATCH_API_KEY=") })
}

// input is the messages as JSON lines.
func input(messages []client.Message) (io.Reader, error) {
	var b bytes.Buffer
	for _, m := range messages {
		if err := json.Compact(&b, m.Raw); err != nil {
			return nil, fmt.Errorf("message %q: %w", m.Key, err)
		}
		b.WriteByte('\n')
	}
	return &b, nil
}

// event is a line of the program as an event: an object is one as it is, and anything else is text.
func event(line []byte, key string) any {
	if line[0] == '{' && json.Valid(line) && utf8.Valid(line) {
		return json.RawMessage(line)
	}
	return map[string]any{
		"type": "text", "key": key, "value": strings.ToValidUTF8(string(line), "\ufffd"),
		"headers": map[string]string{"operation": "insert"},
	}
}
