package main

import (
	"bytes"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestServeDrainsOnSIGTERM(t *testing.T) {
	t.Parallel()
	p := launch(t, []string{"WAKELATCH_DATABASE_URL=" + dbtest.New(t).DSN}, "serve", "--listen", "127.0.0.1:0", "--drain-delay", "300ms")
	address := p.says(`"msg":"node serves".*"address":"([^"]+)"`)
	url := "http://" + address
	status, _ := get(t, url+"/readyz")
	require.Equal(t, http.StatusOK, status)
	p.says("there is no authentication")
	p.says("no token key is set")

	p.signal(syscall.SIGTERM)
	p.says(`"msg":"node stops"`)
	require.Eventually(t, func() bool {
		status, _ := get(t, url+"/readyz")
		return status == http.StatusServiceUnavailable
	}, patience, tick, "it says that it drains while it still answers")
	require.Equal(t, exitOK, p.code())
}

func TestServeRefusesAnUnmigratedSchema(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	_, err := d.Pool.Exec(t.Context(), "DROP TABLE public.wakelatch_schema_version; DROP SCHEMA wakelatch CASCADE")
	require.NoError(t, err)
	var stderr, stdout bytes.Buffer
	p := process{getenv: env(map[string]string{"WAKELATCH_DATABASE_URL": d.DSN}), stderr: &stderr, stdout: &stdout}

	require.Equal(t, exitPending, run(t.Context(), []string{"serve", "--listen=127.0.0.1:0"}, p))
	require.Contains(t, stderr.String(), "wakelatch migrate up")
	require.Equal(t, exitPending, run(t.Context(), []string{"migrate", "status"}, p))
	require.Contains(t, stdout.String(), "missing  00001_lifecycle.sql")

	stderr.Reset()
	stdout.Reset()
	require.Equal(t, exitOK, run(t.Context(), []string{"migrate", "up"}, p), stderr.String())
	require.Contains(t, stderr.String(), "Applying 00001_lifecycle.sql")
	require.Equal(t, exitOK, run(t.Context(), []string{"migrate", "up"}, p))
	require.Contains(t, stderr.String(), "up to date")
	require.Equal(t, exitOK, run(t.Context(), []string{"migrate", "status"}, p))
	require.NotContains(t, stdout.String(), "missing")
}

func TestServeNamesATakenAddress(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	other, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"serve", "--listen", other.Addr().String(), "--database-url", dbtest.New(t).DSN},
		process{getenv: env(nil), stderr: &stderr})
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "the address is in use")
	require.Contains(t, stderr.String(), "--listen")
}

func TestServeSaysThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"serve", "--database-url", "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable"},
		process{getenv: env(nil), stderr: &stderr})
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "connection refused")
	require.NotContains(t, stderr.String(), "hunter2")
}

// Whoever stops a program that is still starting has stopped it as asked. A migration that was cut short has not
// done what the next step relies on.
func TestStoppedBeforeItServes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		code int
	}{
		{"serve", []string{"serve", "--listen", "127.0.0.1:0"}, exitOK},
		{"migrate", []string{"migrate", "up"}, exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var config net.ListenConfig
			mute, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { require.NoError(t, mute.Close()) }()
			p := launch(t, []string{"WAKELATCH_DATABASE_URL=postgres://u:p@" + mute.Addr().String() + "/x?sslmode=disable"}, tc.args...)
			conn, err := mute.Accept()
			require.NoError(t, err)
			defer func() { require.NoError(t, conn.Close()) }()

			p.signal(syscall.SIGTERM)
			require.Equal(t, tc.code, p.code())
		})
	}
}
