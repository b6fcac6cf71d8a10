package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// workshop is two node processes, and programs that run against them.
type workshop struct {
	t        *testing.T
	url      string // of one node; callbacks lead to the other
	database *dbtest.Database
	dir      string
}

func newWorkshop(t *testing.T, settings ...string) *workshop {
	t.Helper()
	s := &workshop{t: t, database: dbtest.New(t), dir: t.TempDir()}
	serve := func(more ...string) string {
		args := append([]string{"serve", "--listen", "127.0.0.1:0", "--database-url", s.database.DSN}, settings...)
		return "http://" + launch(t, nil, append(args, more...)...).says(`"msg":"node serves".*"address":"([^"]+)"`)
	}
	s.url = serve("--public-url", serve())
	return s
}

// script writes a program, in which $DIR is a folder of the test's.
func (s *workshop) script(text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "agent")
	text = "#!/bin/sh\nDIR=" + s.dir + "\n" + text
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o700)) //nolint:gosec // it is to be run
	return path
}

// run starts the program under test and waits until it is registered.
func (s *workshop) run(script string, settings ...string) *program {
	s.t.Helper()
	args := append([]string{"run", "--type", "demo", "--url", s.url}, settings...)
	p := launch(s.t, nil, append(args, "--", script)...)
	p.says("runner is registered")
	return p
}

func (s *workshop) spawn(id, message string) {
	s.t.Helper()
	status, body := request(s.t, http.MethodPut, s.url+"/_electric/entities/demo/"+id, fmt.Sprintf(`{"initialMessage":%q}`, message))
	require.Equal(s.t, http.StatusCreated, status, body)
}

// texts are the values of the text events in the stream of /demo/one.
func (s *workshop) texts() []string {
	s.t.Helper()
	status, body := get(s.t, s.url+"/demo/one/main?offset=-1")
	require.Equal(s.t, http.StatusOK, status, body)
	var events []struct {
		Type  string          `json:"type"`
		Value json.RawMessage `json:"value"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(body), &events))
	texts := []string{}
	for _, e := range events {
		var text string
		if e.Type == "text" && json.Unmarshal(e.Value, &text) == nil {
			texts = append(texts, text)
		}
	}
	return texts
}

// claims waits until an entity's claims have these statuses, in order.
func (s *workshop) claims(id string, want ...string) {
	s.t.Helper()
	var statuses []string
	require.Eventually(s.t, func() bool {
		err := s.database.Pool.QueryRow(s.t.Context(), `SELECT coalesce(array_agg(status ORDER BY epoch), '{}')
			FROM wakelatch.consumer_claims WHERE entity_url = $1`, "/demo/"+id).Scan(&statuses)
		return err == nil && strings.Join(statuses, " ") == strings.Join(want, " ")
	}, patience, tick, "the claims should be %v and are %v", want, &statuses)
}

// file waits for a file that the program writes.
func (s *workshop) file(name string) string {
	s.t.Helper()
	var text []byte
	require.Eventually(s.t, func() bool {
		var err error
		text, err = os.ReadFile(filepath.Join(s.dir, name))
		return err == nil && strings.HasSuffix(string(text), "\n")
	}, patience, tick, "the program never writes %s", name)
	return strings.TrimSpace(string(text))
}

func (s *workshop) touch(name string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), nil, 0o600))
}

// gone waits until a process has ended.
func (s *workshop) gone(pid string) {
	s.t.Helper()
	n, err := strconv.Atoi(pid)
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool { return ended(n) }, patience, tick, "process %d lives on", n)
}

// ended is true of a zombie too: nobody may be there to reap what a killed program left.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(status), ") Z ")
}

func TestRunPipesAWakeThroughAProgram(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := s.run(s.script(`
read -r message; echo "$message" >"$DIR/message"
echo "$WAKELATCH_ENTITY $WAKELATCH_STREAM $WAKELATCH_EPOCH"
echo
echo '{"type":"text","value":"an object","headers":{"operation":"insert"}}'
echo '{"not":"an object'
echo "$WAKELATCH_URL$WAKELATCH_STREAM $WAKELATCH_TOKEN" >"$DIR/token"
while [ ! -e "$DIR/appended" ]; do sleep 0.05; done
echo "thinking about $WAKELATCH_WAKE" >&2
printf 'no end'`))
	s.spawn("one", "hello")
	stream, token, _ := strings.Cut(s.file("token"), " ")
	status, body := request(t, http.MethodPost, stream, `[{"type":"own"}]`, "electric-claim-token", token, "Content-Type", "application/json")
	require.Equal(t, http.StatusNoContent, status, "the program's token opens the stream: %s", body)
	s.touch("appended")
	s.claims("one", "released")
	require.Equal(t, []string{"/demo/one /demo/one/main 1", "an object", `{"not":"an object`, "no end"}, s.texts())
	require.Contains(t, s.file("message"), `"payload":"hello"`)
	p.says(`entity_url=/demo/one .*line="thinking about w_`)
	_, body = get(t, s.url+"/demo/one/main?offset=-1")
	require.Contains(t, body, `"type":"own"`)
	_, body = get(t, s.url+"/_electric/runners/demo")
	require.Contains(t, body, `"liveness":"online"`)
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.code())
}

func TestRunTriesAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := s.run(s.script(`
echo "attempt $WAKELATCH_EPOCH"
[ "$WAKELATCH_EPOCH" = 2 ] || exit 7`), "--runner", "r1")
	s.spawn("one", "hello")
	s.claims("one", "failed", "released")
	require.Equal(t, []string{"attempt 1", "attempt 2"}, s.texts())
	p.says("exit status 7")
	_, body := get(t, s.url+"/_electric/runners/r1")
	require.Contains(t, body, `"id":"r1"`)
}

func TestRunWorksOnAsManyEntitiesAtOnceAsAsked(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	// Each of the two programs waits for the other.
	s.run(s.script(`
touch "$DIR/$(basename "$WAKELATCH_ENTITY")"
while ! [ -e "$DIR/one" ] || ! [ -e "$DIR/two" ]; do sleep 0.05; done`), "--concurrency", "2")
	s.spawn("one", "hello")
	s.spawn("two", "hello")
	s.claims("one", "released")
	s.claims("two", "released")
}

func TestRunLetsItsProgramsFinishOnSIGTERM(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := s.run(s.script(`
echo $$ >"$DIR/pid"
while ! [ -e "$DIR/go" ]; do sleep 0.05; done
echo finished`))
	s.spawn("one", "hello")
	s.file("pid")
	p.signal(syscall.SIGTERM)
	s.spawn("two", "left to others")
	s.touch("go")
	require.Equal(t, exitOK, p.code())
	p.says("runner stopped")
	s.claims("one", "released")
	s.claims("two")
	require.Equal(t, []string{"finished"}, s.texts())
}

// The program ignores SIGTERM, and so does what it started.
const stubborn = `
trap '' TERM
sleep 1000 >/dev/null 2>&1 & echo $! >"$DIR/child"
echo $$ >"$DIR/pid"
while :; do sleep 0.05; done`

func TestRunKillsAProgramWhoseClaimIsLost(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t, "--lease", "1s")
	p := s.run(s.script(stubborn), "--grace", "200ms")
	s.spawn("one", "hello")
	pid, child := s.file("pid"), s.file("child")
	status, body := request(t, http.MethodPost, s.url+"/_electric/entities/demo/one/signal", `{"signal":"SIGKILL"}`)
	require.Equal(t, http.StatusOK, status, body)
	p.says("claim is lost")
	s.gone(pid)
	s.gone(child)
	s.claims("one", "released")
	s.spawn("two", "it goes on")
	s.file("pid")
}

func TestRunCutsShortWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := s.run(s.script(stubborn), "--grace", "200ms", "--drain-timeout", "1s")
	s.spawn("one", "hello")
	pid, child := s.file("pid"), s.file("child")
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitFailed, p.code())
	p.says("drain timeout passed")
	s.gone(pid)
	s.gone(child)
	s.claims("one", "released")
}

// What the program started still holds its stdout, so nobody can tell when the output is whole.
func TestRunFailsAProgramThatLeavesItsOutputOpen(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := s.run(s.script(`
[ "$WAKELATCH_EPOCH" = 1 ] || exit 0
sleep 1000 & echo $! >"$DIR/child"`), "--grace", "200ms")
	s.spawn("one", "hello")
	p.says("left something running")
	s.gone(s.file("child"))
	s.claims("one", "failed", "released")
}

func TestRunFailsAProgramWithALineTooLong(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := s.run(s.script(`
[ "$WAKELATCH_EPOCH" = 1 ] || exit 0
head -c 1200000 /dev/zero | tr '\0' x; echo`))
	s.spawn("one", "hello")
	p.says("has more than 1048576 bytes")
	s.claims("one", "failed", "released")
	require.Empty(t, s.texts())
}

func TestRunEndsWhenItIsRefused(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := launch(t, nil, "run", "--type", "runners", "--url", s.url, "--", "true")
	require.Equal(t, exitFailed, p.code())
	p.says(`register entity type "runners": .*INVALID_REQUEST`)
}

func TestRunWaitsForANode(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "run", "--type", "demo", "--url", "http://127.0.0.1:1", "--", "true")
	p.says("it is tried again")
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitOK, p.code())
}
