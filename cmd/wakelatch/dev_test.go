package main

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const tick = 20 * time.Millisecond

func TestDevKeepsItsDataAndOwnsItsFolder(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	first := launch(t, nil, "dev", "--data-dir", dir, "--listen", "127.0.0.1:0")
	url := first.says(`Wakelatch serves at +(http://\S+)`)
	first.says(`Postgres is at +(postgres://\S+)`)
	first.says("Stop with Ctrl-C")
	status, body := request(t, http.MethodPost, url+"/_electric/entity-types", `{"name":"kept"}`)
	require.Equal(t, http.StatusCreated, status, body)

	second := launch(t, nil, "dev", "--data-dir", dir, "--listen", "127.0.0.1:0")
	require.Equal(t, exitFailed, second.code())
	require.Contains(t, second.says(`(.*is held by pid.*)`), "--data-dir")

	first.signal(syscall.SIGINT)
	require.Equal(t, exitOK, first.code())
	first.says("The data stays in")

	again := launch(t, []string{"WAKELATCH_DATA_DIR=" + dir}, "dev", "--listen", "127.0.0.1:0")
	url = again.says(`Wakelatch serves at +(http://\S+)`)
	status, body = get(t, url+"/_electric/entity-types/kept")
	require.Equal(t, http.StatusOK, status, body)
}

func TestDevStoppedWhilePostgresStarts(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	first := launch(t, nil, "dev", "--data-dir", dir, "--listen", "127.0.0.1:0")
	first.says("Starting Postgres")
	first.signal(syscall.SIGINT)
	require.Equal(t, exitOK, first.code())
	first.says("Stopped before it served")

	again := launch(t, nil, "dev", "--data-dir", dir, "--listen", "127.0.0.1:0")
	again.says(`Wakelatch serves at`)
}
