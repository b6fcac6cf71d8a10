package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// actAs makes the test binary the program itself, so that tests run real processes without building one.
const actAs = "WAKELATCH_TEST_ACT_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(actAs) != "" {
		main()
	}
	dbtest.Main(m)
}

const patience = 30 * time.Second

// program is the binary running as a process.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *output
	ended chan struct{}
}

// launch starts the program with variables and arguments. It is killed if the test leaves it running.
func launch(t *testing.T, vars []string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &program{t: t, cmd: exec.CommandContext(context.Background(), self, args...), out: &output{mirror: t.Output()}, ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), actAs+"=1"), vars...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// says waits for a match in what the program prints and returns its first group.
func (p *program) says(pattern string) string {
	p.t.Helper()
	wanted := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		text, more := p.out.read()
		if found := wanted.FindStringSubmatch(text); found != nil {
			return found[len(found)-1]
		}
		select {
		case <-more:
		case <-p.ended:
			if text, _ := p.out.read(); !wanted.MatchString(text) {
				p.t.Fatalf("the program ended without saying %s:\n%s", pattern, text)
			}
		case <-deadline:
			p.t.Fatalf("the program does not say %s:\n%s", pattern, text)
		}
	}
}

// code is the exit code, after the program's end.
func (p *program) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		text, _ := p.out.read()
		p.t.Fatalf("the program does not end:\n%s", text)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) signal(s syscall.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// output is what a program printed so far.
type output struct {
	mirror io.Writer
	mu     sync.Mutex
	text   bytes.Buffer
	more   chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	_, _ = o.mirror.Write(b)
	return o.text.Write(b)
}

func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.text.String(), o.more
}

// get is the status and body of a GET.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	return request(t, http.MethodGet, url, "")
}

// request sends a request; headers are name, value pairs.
func request(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := openapitest.Client(t).Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// openDir is a folder that the account of the database can reach, removed with what that account left in it.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wakelatch-test-") //nolint:usetesting // the parents of t.TempDir are closed to other accounts
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // the database's account must reach it
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "data")
}
