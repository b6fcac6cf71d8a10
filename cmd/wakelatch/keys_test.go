package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// command runs a command line in this process.
func runLine(t *testing.T, vars map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, said bytes.Buffer
	code = run(t.Context(), args, process{getenv: env(vars), stdout: &out, stderr: &said})
	return code, out.String(), said.String()
}

func TestKeysFromTheFirstToTheLast(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"WAKELATCH_DATABASE_URL": dbtest.New(t).DSN}
	create := []string{"keys", "create", "--tenant", "acme", "--principal", "user:alice", "--role", "client", "--label", "laptop\x1b[31m", "--expires-in", "1h"}
	code, stdout, stderr := runLine(t, vars, create...)
	require.Equal(t, exitOK, code, stderr)
	require.Regexp(t, `^wl_[a-z2-7]{12}_[a-z2-7]{26}\n$`, stdout, "stdout is the key alone")
	require.Contains(t, stderr, "shown only now")
	key := strings.TrimSpace(stdout)
	id := key[3:15]

	code, stdout, stderr = runLine(t, vars, append(create, "--json")...)
	require.Equal(t, exitOK, code, stderr)
	var made map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &made))
	require.Contains(t, made["key"], made["id"])

	code, stdout, _ = runLine(t, vars, "keys", "list", "--tenant", "acme")
	require.Equal(t, exitOK, code)
	require.Contains(t, stdout, id)
	require.NotContains(t, stdout, key[16:])
	require.NotContains(t, stdout, "\x1b")
	_, _, stderr = runLine(t, vars, "keys", "list", "--tenant", "other")
	require.Contains(t, stderr, "no keys")
	_, stdout, _ = runLine(t, vars, "keys", "list", "--tenant", "other", "--json")
	require.JSONEq(t, `{"keys":[]}`, stdout)

	code, stdout, stderr = runLine(t, vars, "keys", "revoke", id, "--reason", "laptop was lost")
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, stdout, "revoked")
	require.Contains(t, stdout, "laptop was lost (operator:")

	for _, tc := range []struct {
		line string
		code int
		says string
	}{
		{"keys", exitUsage, "create, list or revoke"},
		{"keys drop", exitUsage, "create, list or revoke"},
		{"keys create --tenant acme", exitUsage, "role must be viewer"},
		{"keys create now --tenant acme", exitUsage, `"now" is no flag`},
		{"keys list all", exitUsage, `"all" is no flag`},
		{"keys revoke --reason x", exitUsage, "by its id"},
		{"keys revoke " + id, exitUsage, "reason must be"},
		{"keys revoke " + key + " --reason x", exitUsage, "id must be"},
		{"keys revoke aaaaaaaaaaaa --reason x", exitFailed, `"aaaaaaaaaaaa": there is no API key`},
	} {
		code, _, stderr := runLine(t, vars, strings.Fields(tc.line)...)
		require.Equal(t, tc.code, code, tc.line)
		require.Contains(t, stderr, tc.says, tc.line)
		require.NotContains(t, stderr, key[16:], "a secret must not be repeated")
	}
}

func TestServeWithKeys(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"WAKELATCH_DATABASE_URL": dbtest.New(t).DSN}
	_, stdout, _ := runLine(t, vars, "keys", "create", "--tenant", "acme", "--principal", "user:alice", "--role", "viewer")
	key := strings.TrimSpace(stdout)
	p := launch(t, []string{"WAKELATCH_DATABASE_URL=" + vars["WAKELATCH_DATABASE_URL"]}, "serve", "--auth", "keys",
		"--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--rate-limit", "1", "--rate-burst", "3")
	url := "http://" + p.says(`"msg":"node serves".*"address":"([^"]+)"`)
	metrics := "http://" + p.says(`"msg":"metrics are served".*"address":"([^"]+)"`)

	status, body := get(t, url+"/_electric/runners")
	require.Equal(t, http.StatusUnauthorized, status, body)
	status, body = request(t, http.MethodGet, url+"/_electric/runners", "", "Authorization", "Bearer "+key)
	require.Equal(t, http.StatusOK, status, body)
	require.Eventually(t, func() bool {
		status, _ := request(t, http.MethodGet, url+"/_electric/runners", "", "Authorization", "Bearer "+key)
		return status == http.StatusTooManyRequests
	}, patience, tick)
	status, _ = get(t, metrics+"/metrics")
	require.Equal(t, http.StatusOK, status)

	code, _, stderr := runLine(t, vars, "keys", "revoke", key[3:15], "--reason", "test")
	require.Equal(t, exitOK, code, stderr)
	require.Eventually(t, func() bool {
		status, body := request(t, http.MethodGet, url+"/_electric/runners", "", "Authorization", "Bearer "+key)
		return status == http.StatusUnauthorized && strings.Contains(body, "revoked")
	}, patience, tick)
}

func TestRunWithAKeyKeepsItFromTheProgram(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t, "--auth", "keys")
	vars := map[string]string{"WAKELATCH_DATABASE_URL": s.database.DSN}
	create := func(role string) string {
		code, stdout, stderr := runLine(t, vars, "keys", "create", "--tenant", "acme", "--principal", "service:agents", "--role", role)
		require.Equal(t, exitOK, code, stderr)
		return strings.TrimSpace(stdout)
	}
	key := create("runner")
	script := s.script("cat > $DIR/input\nenv > $DIR/env\necho answer\n")
	p := launch(t, []string{"WAKELATCH_API_KEY=" + key}, "run", "--type", "demo", "--url", s.url, "--", script)
	p.says("runner is registered")

	status, body := request(t, http.MethodPut, s.url+"/_electric/entities/demo/one", `{"initialMessage":"hello"}`, "Authorization", "Bearer "+create("client"))
	require.Equal(t, http.StatusCreated, status, body)
	require.Eventually(t, func() bool {
		_, body := request(t, http.MethodGet, s.url+"/demo/one/main?offset=-1", "", "Authorization", "Bearer "+key)
		return strings.Contains(body, "answer")
	}, patience, tick)
	environment, err := os.ReadFile(filepath.Join(s.dir, "env"))
	require.NoError(t, err)
	require.Contains(t, string(environment), "WAKELATCH_TOKEN=")
	require.NotContains(t, string(environment), key)
	text, _ := p.out.read()
	require.NotContains(t, text, key)

	lost := launch(t, nil, "run", "--type", "demo", "--url", s.url, "--", script)
	require.Equal(t, exitFailed, lost.code())
	require.Contains(t, lost.says("(no API key was sent.*)"), "Bearer")
}

func TestANodeWithKeysMayListenEverywhere(t *testing.T) {
	serve := commands()[1]
	require.Equal(t, "serve", serve.name)
	line := strings.Fields("--database-url postgres://h/d --listen 0.0.0.0:8080 --public-url https://wake.example --auth")
	_, _, err := parse(serve, append(line, "none"), env(nil))
	require.ErrorContains(t, err, "--insecure-allow-remote")
	_, _, err = parse(serve, append(line, "keys"), env(nil))
	require.NoError(t, err)
	_, _, err = parse(serve, append(line, "keys", "--request-timeout", "5s"), env(nil))
	require.ErrorContains(t, err, "--request-timeout must be longer than --ride-out")

	for args, says := range map[string]string{
		"--tls-cert cert.pem": "set together", "--rate-limit 5": "a rate limit is per key",
	} {
		code, _, stderr := runLine(t, nil, strings.Fields("serve --database-url postgres://h/d "+args)...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, stderr, says)
	}
}
