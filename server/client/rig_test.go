package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/client"
	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const (
	patience = 30 * time.Second
	glance   = 10 * time.Millisecond
	entity   = "/demo/one"
)

// rig is two nodes and a client whose requests go to them in turn.
type rig struct {
	t    *testing.T
	pool *pgxpool.Pool
	line *line
	*client.Client
}

func newRig(t *testing.T, changes ...func(*server.Options)) *rig {
	t.Helper()
	database := dbtest.New(t)
	r := &rig{t: t, pool: database.Pool, line: &line{transport: described(t)}}
	for range 2 {
		r.line.nodes = append(r.line.nodes, startNode(t, database.DSN, changes...))
	}
	r.Client = r.client()
	return r
}

// client is another client of the same nodes.
func (r *rig) client() *client.Client {
	r.t.Helper()
	c, err := client.New(client.Options{
		URL: "http://127.0.0.1:1", HTTP: &http.Client{Transport: r.line}, Logger: logger(r.t),
		Header: http.Header{"electric-principal": {"user:alice"}},
	})
	require.NoError(r.t, err)
	return c
}

// startNode starts a node that stops when the test ends and returns its host.
func startNode(tb testing.TB, dsn string, changes ...func(*server.Options)) string {
	tb.Helper()
	o := server.Options{DatabaseURL: dsn, PoolSize: 8, LongPoll: 5 * time.Second, Backoff: 20 * time.Millisecond, Logger: logger(tb)}
	for _, change := range changes {
		change(&o)
	}
	s, err := server.New(o)
	require.NoError(tb, err)
	require.NoError(tb, s.Start(tb.Context()))
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
		defer cancel()
		require.NoError(tb, s.Stop(ctx))
	})
	address, err := url.Parse(s.URL())
	require.NoError(tb, err)
	return address.Host
}

func logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(&output{w: tb.Output()}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type output struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(b)
}

// errLine is what a broken line says.
var errLine = errors.New("the line is broken")

// line carries requests to the nodes in turn, whatever address they were made for. It can be broken in front
// of a request or behind it.
type line struct {
	transport http.RoundTripper
	nodes     []string
	turn      atomic.Uint64

	mu     sync.Mutex
	seen   []call
	before func(call) bool // true loses the request
	behind func(call) bool // true loses the answer
}

// call is a request as it went over the line.
type call struct {
	method, path, body string
	seq                string // the producer's
}

func (c call) isClaim() bool { return strings.HasSuffix(c.path, "/claim") }

func (c call) isDone() bool { return strings.Contains(c.body, `"done":true`) }

func (c call) isAppend() bool {
	return c.method == http.MethodPost && strings.HasSuffix(c.path, "/main")
}

func (c call) isBeat() bool {
	return strings.Contains(c.path, "wake-callbacks") && !c.isDone() && !strings.Contains(c.body, "wakeId")
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	c := call{method: r.Method, path: r.URL.Path, seq: r.Header.Get("Producer-Seq")}
	if r.GetBody != nil {
		copied, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(copied)
		if err != nil {
			return nil, err
		}
		c.body = string(text)
	}
	l.mu.Lock()
	l.seen = append(l.seen, c)
	before, behind := l.before, l.behind
	l.mu.Unlock()
	if before != nil && before(c) {
		return nil, errLine
	}
	sent := r.Clone(r.Context())
	sent.URL.Host = l.nodes[l.turn.Add(1)%uint64(len(l.nodes))]
	sent.Host = ""
	answer, err := l.transport.RoundTrip(sent)
	if err == nil && behind != nil && behind(c) {
		_ = answer.Body.Close()
		return nil, errLine
	}
	return answer, err
}

func (l *line) CloseIdleConnections() {
	if idle, ok := l.transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}

// described holds every exchange against docs/openapi.yaml.
func described(tb testing.TB) http.RoundTripper {
	tb.Helper()
	return openapitest.Transport(tb, &http.Transport{MaxIdleConnsPerHost: 16})
}

// lose breaks the line with these; nil mends it.
func (l *line) lose(before, behind func(call) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before, l.behind = before, behind
}

// count is how many calls of a kind went over the line.
func (l *line) count(kind func(call) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.seen {
		if kind(c) {
			n++
		}
	}
	return n
}

// times makes a loss happen to the first n calls of a kind.
func times(n int64, kind func(call) bool) func(call) bool {
	var happened atomic.Int64
	return func(c call) bool { return kind(c) && happened.Add(1) <= n }
}

// running is a runner at work.
type running struct {
	r      *rig
	stop   context.CancelFunc
	result chan error
}

// run starts a runner for the entity type demo and waits until it is registered.
func (r *rig) run(handle client.Handler, changes ...func(*client.RunnerOptions)) *running {
	r.t.Helper()
	o := client.RunnerOptions{ID: "r1", Types: []string{"demo"}, Handle: handle}
	for _, change := range changes {
		change(&o)
	}
	runner, err := client.NewRunner(r.Client, o)
	require.NoError(r.t, err)
	ctx, stop := context.WithCancel(r.t.Context())
	run := &running{r: r, stop: stop, result: make(chan error, 1)}
	go func() { run.result <- runner.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		select {
		case err := <-run.result:
			run.result <- err
		case <-time.After(patience):
			r.t.Error("the runner does not stop")
		}
		r.Close()
	})
	r.eventually(func() bool {
		_, err := r.Spawn(r.t.Context(), "demo", "probe", client.Spawning{})
		return err == nil || strings.Contains(err.Error(), "ENTITY_EXISTS")
	}, "the runner is never registered")
	return run
}

// stopped stops the runner and returns what Run returned.
func (s *running) stopped() error {
	s.r.t.Helper()
	s.stop()
	return s.ended()
}

func (s *running) ended() error {
	s.r.t.Helper()
	select {
	case err := <-s.result:
		s.result <- err
		return err
	case <-time.After(patience):
		s.r.t.Fatal("the runner does not stop")
		return nil
	}
}

func (r *rig) eventually(holds func() bool, what string, args ...any) {
	r.t.Helper()
	require.Eventuallyf(r.t, holds, patience, glance, what, args...)
}

// spawn makes /demo/<id> with a first message.
func (r *rig) spawn(id string, message any) {
	r.t.Helper()
	_, err := r.Spawn(r.t.Context(), "demo", id, client.Spawning{Message: message})
	require.NoError(r.t, err)
}

func (r *rig) send(message any) {
	r.t.Helper()
	_, err := r.Send(r.t.Context(), entity, client.Sending{Payload: message})
	require.NoError(r.t, err)
}

// handled waits until every message of the entity is acknowledged, its last claim is released, and the
// consistency query finds nothing.
func (r *rig) handled(entityURL string) {
	r.t.Helper()
	r.eventually(func() bool {
		var ok bool
		err := r.pool.QueryRow(r.t.Context(), `
			SELECT d.last_outside_seq <= d.acked_seq AND d.active_consumer_id IS NULL AND e.status = 'idle' AND c.status = 'released'
			FROM wakelatch.entity_dispatch_state d JOIN wakelatch.entities e ON e.url = d.entity_url
			JOIN wakelatch.consumer_claims c ON c.consumer_id = d.last_consumer_id AND c.epoch = d.last_epoch
			WHERE d.entity_url = $1`, entityURL).Scan(&ok)
		return err == nil && ok
	}, "the messages of %s are never handled", entityURL)
	r.eventually(func() bool {
		found, err := claim.Violations(r.t.Context(), r.pool)
		return err == nil && len(found) == 0
	}, "invariants are broken")
}

// claims are the statuses of an entity's claims in order.
func (r *rig) claims() []string {
	r.t.Helper()
	var statuses []string
	require.NoError(r.t, r.pool.QueryRow(r.t.Context(), `SELECT coalesce(array_agg(status ORDER BY epoch), '{}')
		FROM wakelatch.consumer_claims WHERE entity_url = $1`, entity).Scan(&statuses))
	return statuses
}

// texts are the values of the text events in an entity's stream, in order.
func (r *rig) texts(entityURL string) []string {
	r.t.Helper()
	page, err := r.Read(r.t.Context(), entityURL+"/main", client.Beginning)
	require.NoError(r.t, err)
	require.True(r.t, page.UpToDate)
	texts := []string{}
	for _, e := range page.Events {
		if e.Type == "text" {
			texts = append(texts, payload(r.t, e.Value))
		}
	}
	return texts
}

func payload(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var text string
	require.NoError(t, json.Unmarshal(raw, &text))
	return text
}

// text is an event of an agent.
func text(value string) map[string]any { return map[string]any{"type": "text", "value": value} }

// echo answers every message of the wake.
func echo(t *testing.T) client.Handler {
	t.Helper()
	return func(ctx context.Context, w *client.Wake) error {
		for _, m := range w.Messages() {
			if err := w.Append(ctx, text("re: "+payload(t, m.Payload))); err != nil {
				return err
			}
		}
		return nil
	}
}
