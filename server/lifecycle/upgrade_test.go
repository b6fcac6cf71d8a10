//go:build upgrade

package lifecycle_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// build is the binary of one version; .ci/upgrade makes both.
type build struct {
	t    *testing.T
	path string
	dsn  string
}

func newBuild(t *testing.T, variable, dsn string) build {
	t.Helper()
	path := os.Getenv(variable)
	require.NotEmpty(t, path, "%s names no binary: run .ci/upgrade", variable)
	return build{t: t, path: path, dsn: dsn}
}

func (b build) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(b.t.Context()), b.path, args...) //nolint:gosec // the binary is ours
	cmd.Env = append(os.Environ(), "WAKELATCH_DATABASE_URL="+b.dsn)
	return cmd
}

// exits runs a command to its end.
func (b build) exits(code int, args ...string) string {
	b.t.Helper()
	cmd := b.command(args...)
	out, err := cmd.CombinedOutput()
	require.Equal(b.t, code, cmd.ProcessState.ExitCode(), "%s %v: %v\n%s", b.path, args, err, out)
	return string(out)
}

// lines is what a node has logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var served = regexp.MustCompile(`"msg":"node serves".*"address":"([^"]+)"`)

// serve starts a node of this build; it is stopped with SIGTERM and must end with 0.
func (b build) serve(c *cluster, name string) *node {
	b.t.Helper()
	cmd := b.command("serve", "--listen", "127.0.0.1:0", "--node-id", name, "--long-poll-timeout", "5s")
	log := &lines{}
	cmd.Stderr = log
	require.NoError(b.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		require.NoError(b.t, <-ended, "%s\n%s", name, log)
		require.NotContains(b.t, log.String(), `"level":"ERROR"`)
	})
	c.eventually(func() bool { return served.MatchString(log.String()) }, "%s does not serve: %s", name, log)
	return &node{
		c: c, url: "http://" + served.FindStringSubmatch(log.String())[1],
		client: &http.Client{Timeout: 2 * patience, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// empty is a database that no version has migrated.
func empty(t *testing.T) (string, *pgxpool.Pool) {
	t.Helper()
	d := dbtest.New(t)
	u, err := url.Parse(d.DSN)
	require.NoError(t, err)
	name := d.Name + "_empty"
	_, err = d.Pool.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := d.Pool.Exec(context.WithoutCancel(t.Context()), "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
	})
	u.Path = "/" + name
	pool, err := pgxpool.New(t.Context(), u.String())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return u.String(), pool
}

// An upgrade migrates first and then rolls the nodes: while it lasts, nodes of both builds work on the new schema,
// and a wake may go through both.
func TestUpgrade(t *testing.T) {
	dsn, pool := empty(t)
	oldBuild, newBuild := newBuild(t, "WAKELATCH_TEST_OLD", dsn), newBuild(t, "WAKELATCH_TEST_NEW", dsn)
	c := clusterOn(t, dsn, pool)
	oldBuild.exits(0, "migrate", "up")

	// A node of the new build refuses the old schema, and says what to type.
	require.Contains(t, newBuild.exits(3, "serve", "--listen", "127.0.0.1:0"), "wakelatch migrate up")
	require.Contains(t, newBuild.exits(3, "migrate", "status"), "missing")

	before := oldBuild.serve(c, "old")
	wakes := before.oneWake()
	held := before.work(wakes.next())
	held.mustAppend(before)

	// The schema moves under the old node and under its active claim.
	newBuild.exits(0, "migrate", "up")
	newBuild.exits(0, "migrate", "status")
	held.mustAppend(before)
	after := newBuild.serve(c, "new")
	held.mustAppend(after)
	require.Equal(t, http.StatusOK, held.heartbeat(after).status)
	held.done(after)
	held.released(before, "idle")
	require.Equal(t, http.StatusUnauthorized, held.append(before).status, "the old node refuses what the new one ended")
	require.Equal(t, http.StatusUnauthorized, held.append(after).status)

	t.Log("wakes through both builds, each call on the other than the one before")
	for i := range 10 {
		after.send("one", "message "+strconv.Itoa(i))
		if i%2 == 0 {
			c.finished(before, after, before, after, wakes.next())
		} else {
			c.finished(after, before, after, before, wakes.next())
		}
	}

	t.Log("an old node that starts on the new schema")
	again := oldBuild.serve(c, "old again")
	again.send("one", "again")
	c.finished(after, again, after, again, wakes.next())

	oldNodesRefuse(t, c, again, after, wakes)
	oldNodesExpire(t, c, again, after, wakes)
	c.consistent()
}

// oldNodesRefuse asks an old node for what only the new one knows of.
func oldNodesRefuse(t *testing.T, c *cluster, before, after *node, wakes *inbox) {
	t.Helper()
	t.Log("a draining runner gets no claim from an old node either")
	before.send("one", "while draining")
	e := wakes.next()
	after.must(http.StatusOK, "POST", "/_electric/runners/"+runnerID+"/drain", object{"reason": "upgrade"})
	require.NotEqual(t, http.StatusOK, before.askClaim(e).status)
	after.must(http.StatusOK, "POST", "/_electric/runners/"+runnerID+"/enable", object{"reason": "upgrade"})
	c.finished(before, after, before, after, e)

	t.Log("an entity that is parked is not woken by an old node")
	c.exec("UPDATE wakelatch.entity_dispatch_state SET parked_reason = 'test', failures = 20 WHERE entity_url = '/demo/one'")
	before.send("one", "while parked")
	require.Equal(t, "none", value[string](c, "SELECT COALESCE(outstanding_wake_id, 'none') FROM wakelatch.entity_dispatch_state"))
	after.must(http.StatusOK, "POST", "/_electric/entities/demo/one/unpark", object{"reason": "upgrade"})
	c.finished(after, before, after, before, wakes.next())
}

// oldNodesExpire takes over from a dead runner while both builds sweep.
func oldNodesExpire(t *testing.T, c *cluster, before, after *node, wakes *inbox) {
	t.Helper()
	t.Log("a claim whose runner died expires, whichever build sweeps")
	after.send("one", "for nobody")
	dead := before.work(wakes.next())
	dead.expire()
	next := wakes.nextOf(dead.Epoch + 1)
	require.True(t, strings.HasPrefix(next.Stream, "demo/one"))
	require.Equal(t, http.StatusUnauthorized, dead.append(after).status)
	c.finished(before, after, before, after, next)
}
