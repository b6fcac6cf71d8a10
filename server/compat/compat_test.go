//go:build compat

package compat_test

import (
	"context"
	"embed"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	// A long-poll is short, because the suite waits for many long-polls to end.
	longPoll = time.Second
	patience = 10 * time.Minute
)

//go:embed package.json package-lock.json *.mjs
var scripts embed.FS

// start runs a node on the database until the test ends.
func start(t *testing.T, d *dbtest.Database, auth string) *server.Server {
	t.Helper()
	s, err := server.New(server.Options{
		DatabaseURL: d.DSN, LongPoll: longPoll, ReconcileInterval: time.Minute, Access: server.Access{Auth: auth},
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return s
}

// install puts the scripts and the locked packages into a folder of their own.
func install(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(folder, scripts))
	command(t, folder, nil, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	return folder
}

func command(t *testing.T, folder string, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = folder
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, out)
}

// outcome is one test of vitest's report.
type outcome struct {
	Groups   []string `json:"ancestorTitles"`
	Title    string   `json:"title"`
	Status   string   `json:"status"`
	Messages []string `json:"failureMessages"`
}

func (o outcome) group() string {
	if len(o.Groups) == 0 {
		return ""
	}
	return o.Groups[0]
}

// run runs one script and returns what became of each of its tests. That some fail is the caller's to judge.
func run(t *testing.T, folder, script, key string, nodes ...*server.Server) []outcome {
	t.Helper()
	report := filepath.Join(folder, script+".json")
	env := []string{"WAKELATCH_API_KEY=" + key, "WAKELATCH_LONG_POLL_MS=" + strconv.FormatInt(longPoll.Milliseconds(), 10)}
	for i, n := range nodes {
		env = append(env, "WAKELATCH_NODE_"+string(rune('A'+i))+"="+n.URL())
	}
	command(t, folder, env, "sh", "-c",
		`node node_modules/vitest/vitest.mjs run "$1" --reporter=json --outputFile="$2" || test -s "$2"`, "vitest", script, report)
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	var parsed struct {
		TestResults []struct {
			Message string    `json:"message"`
			Tests   []outcome `json:"assertionResults"`
		} `json:"testResults"`
	}
	require.NoError(t, json.Unmarshal(text, &parsed))
	var out []outcome
	for _, file := range parsed.TestResults {
		require.NotEmpty(t, file.Tests, file.Message)
		out = append(out, file.Tests...)
	}
	return out
}
