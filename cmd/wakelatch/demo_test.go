package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// demoProcesses are the pids that a demo has named.
func demoProcesses(t *testing.T, p *program) []int {
	t.Helper()
	text, _ := p.out.read()
	var pids []int
	for _, found := range regexp.MustCompile(`pid (\d+)`).FindAllStringSubmatch(text, -1) {
		pid, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// allGone waits until every process of a demo has ended.
func allGone(t *testing.T, dir string, pids []int) {
	t.Helper()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return ended(pid) }, patience, tick, "process %d lives on", pid)
	}
	require.Eventually(t, func() bool { return len(children(t, dir)) == 0 }, patience, tick, "something lives on")
}

// children are the processes that still run with this folder for temporary files, which a demo hands on to all of its
// own. Only systems with /proc can tell.
func children(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	var found []string
	for _, file := range all {
		environ, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(environ), "TMPDIR="+dir+"\x00") {
			found = append(found, file)
		}
	}
	return found
}

// folders are those that a demo left in the temporary one, which was its own.
func folders(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "wakelatch-*"))
	require.NoError(t, err)
	return left
}

// temporary is a folder for temporary files that a demo has for itself.
func temporary(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	require.NoError(t, os.Mkdir(dir, 0o755)) //nolint:gosec // the database's account must reach it
	return dir
}

// see waits for what a demo says on its way to a verdict, one after the other, so that a slow machine has time.
func see(p *program) {
	p.t.Helper()
	p.says("runner-3 is registered")
	p.says("killed node-")
	p.says("node-. is back")
	p.says("killed runner-")
	p.says("took over as epoch")
	p.says("answered the append")
	p.says("all messages are sent")
}

func TestDemoSurvives(t *testing.T) {
	t.Parallel()
	dir := temporary(t)
	// A setting that is meant for other commands is not the demo's.
	p := launch(t, []string{"TMPDIR=" + dir, "WAKELATCH_LEASE=1h", "WAKELATCH_DATABASE_URL=nowhere"}, "demo")
	see(p)
	p.says("OK: a node and a runner were killed")
	require.Equal(t, exitOK, p.code())
	text, _ := p.out.read()
	require.NotContains(t, text, "FAILED")
	require.NotContains(t, text, "\x1b", "there is no terminal")
	require.Regexp(t, `claims +\d+ released, [1-9]\d* expired, 0 leaked`, text)
	require.Regexp(t, `old epoch +2 appends sent, 2 refused, 0 landed`, text)
	require.Regexp(t, `messages +\d+ sent: \d+ handled once, [1-9]\d* again after a take-over`, text)
	allGone(t, dir, demoProcesses(t, p))
	require.Empty(t, folders(t, dir), "what is left behind")
}

func TestDemoNoticesABrokenFence(t *testing.T) {
	t.Parallel()
	dir := temporary(t)
	p := launch(t, []string{"TMPDIR=" + dir}, "demo", "--break=fence")
	see(p)
	p.says("a stale write landed: at offset")
	require.Equal(t, exitFailed, p.code())
	text, _ := p.out.read()
	require.Regexp(t, `old epoch +2 appends sent, 0 refused, 2 landed`, text)
	logs := p.says(`Logs of all processes: (\S+)`)
	require.FileExists(t, filepath.Join(logs, "node-1.log"))
	allGone(t, dir, demoProcesses(t, p))
}

func TestDemoInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := temporary(t)
	p := launch(t, []string{"TMPDIR=" + dir}, "demo")
	p.says("runner-3 is registered")
	p.says("killed node-")
	p.signal(syscall.SIGINT)
	require.Equal(t, exitInterrupted, p.code())
	allGone(t, dir, demoProcesses(t, p))
	require.Empty(t, folders(t, dir), "what is left behind")
}

// Whatever ends the demo, its processes end with it.
func TestDemoKilledLeavesNoProcess(t *testing.T) {
	t.Parallel()
	dir := temporary(t)
	p := launch(t, []string{"TMPDIR=" + dir}, "demo")
	p.says("killed node-")
	require.NotEmpty(t, children(t, dir))
	p.signal(syscall.SIGKILL)
	p.code()
	pids := demoProcesses(t, p)
	require.GreaterOrEqual(t, len(pids), 6, "postgres, nodes, runners")
	allGone(t, dir, pids)
}

func TestDemoWantsANewDirectory(t *testing.T) {
	t.Parallel()
	dir, tmp := openDir(t), temporary(t)
	first := launch(t, []string{"TMPDIR=" + tmp}, "demo", "--data-dir", dir)
	first.says("runner-3 is registered")
	first.signal(syscall.SIGTERM)
	require.Equal(t, exitInterrupted, first.code())
	require.DirExists(t, dir)
	again := launch(t, []string{"TMPDIR=" + tmp}, "demo", "--data-dir", dir)
	again.says("has entities already, and the demo counts all it finds: name a new directory")
	require.Equal(t, exitFailed, again.code())
	require.Empty(t, folders(t, tmp), "there is no log to keep")
}

// What takes the fence away is nothing that somebody who runs a node could come upon.
func TestNoSettingTakesTheFenceAway(t *testing.T) {
	vars := map[string]string{}
	for _, s := range settings() {
		vars[s.variable()] = samples[s.name]
	}
	for _, cmd := range commands() {
		if cmd.kind&forNodes != 0 {
			c := parsed(t, cmd, nil, vars)
			require.False(t, nodeOptions(process{stderr: &bytes.Buffer{}}, c).Unfenced, cmd.name)
		}
		require.NotContains(t, usage(cmd), "without-fence")
	}
	require.NotContains(t, overview(), "without-fence")
	var stderr bytes.Buffer
	code := run(t.Context(), strings.Fields("serve --database-url postgres://h/d --break=fence"), process{stderr: &stderr, getenv: env(nil)})
	require.Equal(t, exitUsage, code)
}
