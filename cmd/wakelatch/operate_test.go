package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// incident is a node, and somebody at a terminal who operates it.
type incident struct {
	t        *testing.T
	url      string
	database *dbtest.Database
}

// newIncident has runner r1, whose claim of /demo/one is active, and /demo/two, whose wake is out.
func newIncident(t *testing.T) *incident {
	t.Helper()
	d := dbtest.New(t)
	node, err := server.New(server.Options{
		DatabaseURL: d.DSN, PoolSize: 4, LongPoll: 50 * time.Millisecond, SweepInterval: 50 * time.Millisecond, NodeID: "node-a",
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, node.Stop(ctx))
	})
	i := &incident{t: t, url: node.URL(), database: d}
	i.call(201, "POST", "/_electric/runners", `{"id":"r1"}`)
	i.call(200, "POST", "/_electric/runners/r1/heartbeat", `{"lease_ms":60000}`)
	i.call(201, "POST", "/_electric/entity-types", `{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`)
	i.call(201, "PUT", "/_electric/entities/demo/one", `{"initialMessage":"hello"}`)
	i.call(201, "PUT", "/_electric/entities/demo/two", `{"initialMessage":"hello"}`)
	i.claim("one", 1)
	return i
}

// claim takes the wake of an entity and returns the consumer.
func (i *incident) claim(id, generation any) string {
	i.t.Helper()
	body, err := json.Marshal(map[string]any{"type": "wake", "stream": "demo/" + id.(string) + "/main", "generation": generation})
	require.NoError(i.t, err)
	answer := i.call(200, "POST", "/_electric/runners/r1/claim", string(body))
	consumer, _ := answer["consumerId"].(string)
	require.NotEmpty(i.t, consumer, answer)
	return consumer
}

func (i *incident) call(want int, method, path, body string) map[string]any {
	i.t.Helper()
	status, text := request(i.t, method, i.url+path, body)
	require.Equal(i.t, want, status, text)
	var answer map[string]any
	if strings.HasPrefix(text, "{") {
		require.NoError(i.t, json.Unmarshal([]byte(text), &answer))
	}
	return answer
}

// says runs a command line, whose words are parted by spaces, and returns its exit code and what it printed.
func (i *incident) says(line string) (code int, stdout, stderr string) {
	i.t.Helper()
	var out, errs bytes.Buffer
	code = run(i.t.Context(), words(line), process{
		stdout: &out, stderr: &errs, getenv: env(map[string]string{"WAKELATCH_URL": i.url, "WAKELATCH_DATABASE_URL": i.database.DSN}),
	})
	return code, out.String(), errs.String()
}

// does is says for a command that must succeed.
func (i *incident) does(line string) string {
	i.t.Helper()
	code, stdout, stderr := i.says(line)
	require.Equal(i.t, exitOK, code, "%s: %s", line, stderr)
	for text := range strings.Lines(stdout) {
		if !strings.HasPrefix(text, "{") {
			require.LessOrEqual(i.t, utf8.RuneCountInString(text), 121, "a line of %s is wider than 120 columns: %s", line, text)
		}
	}
	return stdout
}

// words parts a line at spaces that are not between single quotes.
func words(line string) []string {
	var all []string
	for n, part := range strings.Split(line, "'") {
		if n%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

func (i *incident) one(sql string, args ...any) string {
	i.t.Helper()
	var text string
	require.NoError(i.t, i.database.Pool.QueryRow(i.t.Context(), sql, args...).Scan(&text))
	return text
}

// history is the newest event of an entity as "what actor reason".
func (i *incident) history(entity string) string {
	i.t.Helper()
	var h historyView
	_, body := request(i.t, http.MethodGet, i.url+"/_electric/entities"+entity+"/history?limit=1", "")
	require.NoError(i.t, json.Unmarshal([]byte(body), &h), body)
	require.NotEmpty(i.t, h.Events)
	return h.Events[0].What + " " + h.Events[0].Reason
}

func TestClaimsAreListedShownAndReleased(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	consumer := i.one(`SELECT consumer_id FROM wakelatch.consumer_claims`)
	list := i.does("claims list")
	require.Regexp(t, `(?m)^CONSUMER +EPOCH +STATUS +ENTITY +RUNNER +CLAIMED +END$`, list)
	require.Regexp(t, consumer+` +1 +active +/demo/one +r1 +(now|\d+s ago) +lease ends in \d+s`, list)
	require.NotContains(t, i.does("claims list --status released"), consumer)
	require.Contains(t, i.does("claims list --entity /demo/one --runner r1"), consumer)

	shown := i.does("claims show " + consumer + " 1")
	require.Regexp(t, `Claim \S+ epoch 1 is active\n`, shown)
	require.Regexp(t, `Lease ends +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(in \d+s\)`, shown)

	released := i.does("claims release " + consumer + " 1 --reason 'it hangs'")
	require.Contains(t, released, "is released")
	require.Equal(t, "released it hangs", i.history("/demo/one"))
	require.Contains(t, i.does("claims release "+consumer+" 1 --reason again"), "is released", "once more changes nothing")
	require.Equal(t, "released it hangs", i.history("/demo/one"))
}

func TestJSONIsWhatTheAPIAnswers(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	consumer := i.one(`SELECT consumer_id FROM wakelatch.consumer_claims`)
	for line, path := range map[string]string{
		"claims list --json":                    "/_electric/claims?limit=50",
		"claims show " + consumer + " 1 --json": "/_electric/claims/" + consumer + "/1",
		"runners list --json":                   "/_electric/runners",
		"entities list --type demo --json":      "/_electric/entities?type=demo",
		"entities show demo/one --json":         "/_electric/entities/demo/one",
	} {
		code, stdout, stderr := i.says(line)
		require.Equal(t, exitOK, code)
		require.Empty(t, stderr, "nothing but JSON is put out")
		var got, want map[string]any
		require.NoError(t, json.Unmarshal([]byte(stdout), &got), line)
		_, body := request(t, http.MethodGet, i.url+path, "")
		require.NoError(t, json.Unmarshal([]byte(body), &want))
		for _, moving := range []string{"lease_remaining_ms", "claims"} {
			delete(got, moving)
			delete(want, moving)
		}
		require.Equal(t, want, got, line)
	}
	var why map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(i.does("why /demo/one --json")), &why))
	require.Equal(t, "claimed", why["dispatch"]["state"])
	require.NotEmpty(t, why["history"]["events"])
}

func TestWhyAnswersTheFiveQuestions(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	held := i.does("why demo/one")
	for _, pattern := range []string{
		`^/demo/one is claimed \(status running\)\n`, `Owner +runner r1, claim w_\S+ epoch 1`, `Since +\S+Z \(`, `Lease ends +\S+Z \(in \d+s\)`,
		`Work +pending since`, `Next +runner r1 posts done;`, `When +\S+Z \(in \d+s\)`, `To change +wakelatch claims release w_\S+ 1 --reason WHY`,
		`newest first:\nWHEN +WHAT +EPOCH +RUNNER +BY +WHY\n\S+ \(.*\) +claimed +1 +r1 +runner:r1`,
	} {
		require.Regexp(t, pattern, held)
	}
	out := i.does("why /demo/two")
	require.Regexp(t, `^/demo/two is waiting for its runner to claim \(status idle\)`, out)
	require.Regexp(t, `Owner +nobody`, out)
	require.Regexp(t, `Wake +w_\S+ epoch 1, to runner r1, announced 1×\n +Out since +\S+Z`, out)
	require.Regexp(t, `Runner +r1, enabled and online`, out)
}

func TestEntitiesAreOperated(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	require.Regexp(t, `(?m)^/demo/one +running +r1 `, i.does("entities list"))
	require.NotContains(t, i.does("entities list --status running"), "/demo/two")
	require.Contains(t, i.does("entities show /demo/two"), "Entity /demo/two is idle")

	require.Contains(t, i.does("entities pause demo/two --reason 'wait for me'"), "is paused")
	require.Regexp(t, `/demo/two is paused\n`, i.does("why demo/two"))
	require.Equal(t, "signalled wait for me", i.history("/demo/two"))
	require.Contains(t, i.does("entities resume demo/two --reason go"), "is idle")
	require.Equal(t, "signalled go", i.history("/demo/two"))

	i.exec(`UPDATE wakelatch.entity_dispatch_state SET parked_reason = 'ten in a row', failures = 10, outstanding_wake_id = NULL,
		outstanding_runner_id = NULL, outstanding_since = NULL, next_attempt_at = NULL WHERE entity_url = '/demo/two'`)
	require.Contains(t, i.does("why demo/two"), "wakelatch entities unpark /demo/two --reason WHY")
	require.NotContains(t, i.does("entities list --parked"), "/demo/one")
	require.Regexp(t, `(?m)^/demo/two +idle, parked +r1 `, i.does("entities list --parked --runner r1"))
	require.NotContains(t, i.does("entities list --runner r2"), "/demo/")
	i.does("entities unpark demo/two --reason mended")
	require.Equal(t, "unparked mended", i.history("/demo/two"))
	require.Contains(t, i.does("why demo/two"), "waiting for its runner to claim")

	i.call(201, "POST", "/_electric/runners", `{"id":"r2"}`)
	require.Regexp(t, `Runner +r2`, i.does("entities move demo/two --to r2 --reason 'r1 is slow'"))
	require.Equal(t, "moved r1 is slow", i.history("/demo/two"))
	require.Contains(t, i.does("entities stop demo/one --reason enough"), "is stopping")
	require.Contains(t, i.does("entities kill demo/one --reason now"), "is killed")
	require.Contains(t, i.does("entities delete demo/one --reason gone"), "is deleted")
	require.Contains(t, i.does("why demo/one"), "/demo/one is deleted\n")
	code, _, stderr := i.says("entities show demo/one")
	require.Equal(t, exitMissing, code)
	require.Contains(t, stderr, "/demo/one")
}

func (i *incident) exec(sql string) {
	i.t.Helper()
	_, err := i.database.Pool.Exec(i.t.Context(), sql)
	require.NoError(i.t, err)
}

func TestRunnersAreOperated(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	require.Regexp(t, `(?m)^r1 +enabled +online `, i.does("runners list"))
	shown := i.does("runners show r1")
	require.Contains(t, shown, "Runner r1 is enabled, online and healthy")
	require.Regexp(t, `It works on 1:\nENTITY +CONSUMER .*\n/demo/one +w_`, shown)
	require.Regexp(t, `WHEN +WHAT +EPOCH +ENTITY`, shown)

	require.Contains(t, i.does("runners disable r1 --reason 'rack is hot'"), "Runner r1 is disabled, offline")
	require.Contains(t, i.does("why demo/two"), "wakelatch runners enable r1 --reason WHY")
	require.Regexp(t, `disabled +- +- .* rack is hot`, i.does("runners show r1"))
	require.Contains(t, i.does("runners enable r1 --reason cool"), "Runner r1 is enabled")
	require.Contains(t, i.does("runners delete r1 --reason sold"), "Runner r1 is deleted")
	code, _, _ := i.says("runners show r1")
	require.Equal(t, exitMissing, code)
	require.Contains(t, i.does("why demo/two"), "waiting for a runner that is not registered")
}

func TestDrainWaitsForWhatStillRuns(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	consumer := i.one(`SELECT consumer_id FROM wakelatch.consumer_claims`)
	require.Regexp(t, `It works on 1:(?s).*/demo/one`, i.does("runners drain r1 --reason upgrade"))

	p := launch(t, []string{"WAKELATCH_URL=" + i.url}, "runners", "drain", "r1", "--reason", "upgrade", "--wait")
	p.says("It works on 1:")
	i.does("claims release " + consumer + " 1 --reason 'finished by hand'")
	p.says("It works on nothing")
	require.Equal(t, exitOK, p.code())
	require.Contains(t, i.does("why demo/two"), "waiting for a runner that drains")
}

func TestExitCodesOfOperators(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	for _, tc := range []struct {
		line string
		code int
		says string
	}{
		{"claims", exitUsage, "list, show, release"},
		{"claims lost", exitUsage, `"lost" is none of list, show, release`},
		{"claims show w_1", exitUsage, "show CONSUMER EPOCH"},
		{"claims show w_1 first", exitUsage, `"first" is no whole number`},
		{"claims show w_1 1", exitMissing, "w_1"},
		{"claims release w_1 1 --reason x", exitMissing, "w_1"},
		{"claims release w_1 1", exitUsage, "--reason"},
		{"claims list --status lost", exitFailed, "status"},
		{"claims list --after here", exitFailed, "after"},
		{"entities pause demo/two", exitUsage, "--reason"},
		{"entities move demo/two --reason x", exitUsage, "--to RUNNER"},
		{"entities move demo/two --to nobody --reason x", exitFailed, "nobody"},
		{"entities show demo", exitUsage, "/type/id"},
		{"runners drain r9 --reason x", exitMissing, "r9"},
		{"why", exitUsage, "name one entity"},
		{"why /demo/three", exitMissing, "/demo/three"},
		{"why /demo/one --url http://127.0.0.1:1", exitFailed, "no node answers at http://127.0.0.1:1"},
	} {
		code, stdout, stderr := i.says(tc.line)
		require.Equal(t, tc.code, code, "%s: %s", tc.line, stderr)
		require.Contains(t, stderr, tc.says, tc.line)
		require.Empty(t, stdout, tc.line)
	}
}

func TestTimesAreToldInTwoUnits(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0: "now", 2 * time.Second: "2s ago", -30 * time.Second: "in 30s", 90 * time.Second: "1m30s ago", time.Hour: "1h ago",
		26 * time.Hour: "1d2h ago", -61 * time.Minute: "in 1h1m",
	} {
		require.Equal(t, want, relative(now.Add(-ago), now))
	}
	require.Equal(t, "abcd…efgh", short("abcdXYZWefgh", 9))
	require.Equal(t, "ä b c", oneLine("ä\nb\x1bc"))
}

// Every command of the runbook is one that this binary takes.
func TestTheRunbooksCommandsAreTaken(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	i := newIncident(t)
	i.call(201, "POST", "/_electric/runners", `{"id":"r2"}`)
	taken := 0
	for line := range strings.Lines(string(text)) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "wakelatch ")
		if !ok || strings.HasPrefix(line, "runners drain") {
			continue // with --wait it waits for the claim that the test holds
		}
		line = strings.NewReplacer(`"`, "'", "$NODE", i.url, "postgres://direct.example/wakelatch", i.database.DSN).Replace(line)
		code, _, stderr := i.says(line)
		require.NotEqual(t, exitUsage, code, "%s: %s", line, stderr)
		require.NotContains(t, stderr, "no node answers", line)
		taken++
	}
	require.Greater(t, taken, 15)
}

func TestOperatorsProveThemselvesWithKeys(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"WAKELATCH_DATABASE_URL": dbtest.New(t).DSN}
	key := func(principal, role string) string {
		_, stdout, _ := runLine(t, vars, "keys", "create", "--tenant", "acme", "--principal", principal, "--role", role)
		return strings.TrimSpace(stdout)
	}
	admin, runner, viewer := key("user:root", "admin"), key("user:alice", "runner"), key("user:eve", "viewer")
	p := launch(t, []string{"WAKELATCH_DATABASE_URL=" + vars["WAKELATCH_DATABASE_URL"]}, "serve", "--auth", "keys", "--listen", "127.0.0.1:0")
	vars["WAKELATCH_URL"] = "http://" + p.says(`"msg":"node serves".*"address":"([^"]+)"`)
	call := func(method, path, body string) {
		status, text := request(t, method, vars["WAKELATCH_URL"]+path, body, "Authorization", "Bearer "+runner)
		require.Less(t, status, 300, text)
	}
	call("POST", "/_electric/runners", `{"id":"r1"}`)
	call("POST", "/_electric/entity-types", `{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`)
	call("PUT", "/_electric/entities/demo/one", `{"initialMessage":"hello"}`)

	for _, tc := range []struct {
		line, key string
		code      int
		says      string
	}{
		{"entities list", "", exitFailed, "flag --api-key"},
		{"entities list", "wl_nobody", exitFailed, "flag --api-key"},
		{"entities list", viewer, exitOK, "/demo/one"},
		{"claims list", viewer, exitOK, "CONSUMER"},
		{"why demo/one", viewer, exitOK, "runner r1"},
		{"entities unpark demo/one --reason x", viewer, exitFailed, "FORBIDDEN"},
		{"entities unpark demo/one --reason x", admin, exitOK, "/demo/one"},
		{"runners drain r1 --reason x", runner, exitOK, "works on nothing"},
		{"runners show r1", admin, exitOK, "draining"},
		{"runners enable r1 --reason x", viewer, exitFailed, "FORBIDDEN"},
		{"runners enable r1 --reason x", admin, exitOK, "enabled"},
		{"entities show demo/one", admin, exitOK, "by user:alice"},
	} {
		vars["WAKELATCH_API_KEY"] = tc.key
		code, stdout, stderr := runLine(t, vars, words(tc.line)...)
		require.Equal(t, tc.code, code, "%s: %s", tc.line, stderr)
		require.Contains(t, stdout+stderr, tc.says, tc.line)
	}
}
