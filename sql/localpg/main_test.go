package localpg_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// childVariable makes the test binary a process that only holds a server, so that a test can kill it.
const childVariable = "LOCALPG_TEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		if err := holdServer(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := temporaryFolder()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		// Every temporary server of these tests has ended, the killed ones too, so nothing of them may be left.
		if left, _ := filepath.Glob(filepath.Join(dir, "wakelatch-*")); len(left) > 0 {
			fmt.Fprintln(os.Stderr, "left behind:", left)
			code = 1
		}
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// temporaryFolder makes the folder that stands in for /tmp here and in all children. The fetching library leaves files
// in it too.
func temporaryFolder() (string, error) {
	dir, err := os.MkdirTemp("", "localpg-test-")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.Chmod(dir, 0o755), os.Setenv("TMPDIR", dir)) //nolint:gosec // the server runs as another account
}

// order is what a child is told, and report what it answers.
type order struct {
	DataDir string `json:"data_dir"`
	Durable bool   `json:"durable"`

	// Without RepositoryURL the child uses what this machine has, else only what is fetched from there.
	RepositoryURL string `json:"repository_url"`
	CacheDir      string `json:"cache_dir"`
	EmptyRoot     string `json:"empty_root"`
}

type report struct {
	PID     int    `json:"pid"`
	Port    int    `json:"port"`
	DSN     string `json:"dsn"`
	DataDir string `json:"data_dir"`
}

// holdServer starts a server and keeps it until its input ends. A SIGINT it only reports.
func holdServer(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	options := localpg.Options{DataDir: o.DataDir, Durable: o.Durable, Progress: os.Stderr}
	if o.RepositoryURL != "" {
		options.RepositoryURL, options.CacheDir = o.RepositoryURL, o.CacheDir
		options.Finder = localpg.Finder{Root: o.EmptyRoot, Getenv: func(string) string { return "" }}
	}
	s, err := localpg.Start(context.Background(), options)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	for {
		err := json.NewEncoder(os.Stdout).Encode(report{PID: s.PID(), Port: s.Port(), DSN: s.DSN("postgres"), DataDir: s.DataDir()})
		if err != nil {
			return err
		}
		select {
		case <-interrupts:
		case err := <-ended:
			return errors.Join(err, s.Stop(context.Background()))
		}
	}
}

// holder is a process that holds a server.
type holder struct {
	report
	cmd    *exec.Cmd
	input  io.Closer // its end stops the server and the process
	output *json.Decoder
}

// hold starts the test binary as a holder, in a process group of its own.
func hold(t *testing.T, o order) *holder {
	t.Helper()
	return holdWith(t, o, os.Stderr)
}

// holdWith also takes what the holder prints for people.
func holdWith(t *testing.T, o order, printed io.Writer) *holder {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = printed
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	h := &holder{cmd: cmd, input: input, output: json.NewDecoder(output)}
	require.NoError(t, h.output.Decode(&h.report))
	return h
}

func (h *holder) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, h.cmd.Process.Kill())
	require.Error(t, h.cmd.Wait())
}

func (h *holder) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, h.input.Close())
	require.NoError(t, h.cmd.Wait())
}

// start starts a server that ends with the test.
func start(t *testing.T, o localpg.Options) *localpg.Server {
	t.Helper()
	s, err := localpg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *localpg.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func show(t *testing.T, conn *pgx.Conn, setting string) string {
	t.Helper()
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value))
	return value
}

func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	_, err := connect(t, dsn).Exec(t.Context(), sql)
	require.NoError(t, err)
}

// openFolder is a folder that other accounts can enter, which those of the testing package are not.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // the server runs as another account
	require.NoError(t, os.Chmod(dir, 0o755))               //nolint:gosec // the server runs as another account
	return dir
}

func isRoot() bool { return os.Geteuid() == 0 }

// emptyMachine is a Finder that finds nothing.
func emptyMachine(t *testing.T) localpg.Finder {
	t.Helper()
	return localpg.Finder{Root: t.TempDir(), Getenv: func(string) string { return "" }}
}
