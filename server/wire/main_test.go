package wire_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const (
	patience = 20 * time.Second
	glance   = 5 * time.Millisecond
	// What waits for nothing need not wait long.
	longPoll = 50 * time.Millisecond
	// A body above this is cheap.
	maxBody = 64 << 10
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var update = flag.Bool("update", false, "write the case table and the transcripts anew") //nolint:gochecknoglobals // a flag of the test binary

// secret signs the tokens of every node here, so that a test can make one that no claim has.
func secret() []byte { return bytes.Repeat([]byte("k"), 32) }

// node is one node on a database of its own, on which nothing happens by itself.
type node struct {
	t    *testing.T
	url  string
	pool *pgxpool.Pool
	http *http.Client
	log  *logged
	key  string // if there is one, it is sent with every request that has no Authorization of its own
}

func start(t *testing.T, changes ...func(*server.Options)) *node {
	t.Helper()
	d := dbtest.New(t)
	n := &node{t: t, pool: d.Pool, log: &logged{out: t.Output()}}
	o := server.Options{
		DatabaseURL: d.DSN, PoolSize: 4, TokenKeys: [][]byte{secret()}, LongPoll: longPoll, MaxBody: maxBody,
		Lease: time.Hour, SweepDisabled: true, ReconcileInterval: time.Hour, GaugeInterval: time.Hour,
		Logger: slog.New(slog.NewTextHandler(n.log, nil)),
	}
	for _, change := range changes {
		change(&o)
	}
	s, err := server.New(o)
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	n.url, n.http = s.URL(), openapitest.Client(t)
	return n
}

// logged passes a node's log on to the test's.
type logged struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

// request is one request as it goes out: nothing cleans or decodes its path.
type request struct {
	method, path, body string
	header             []string // names and values in turn; Host is taken for the Host header
	chunked            bool     // the body's length is not told
}

// with is the request with more headers.
func (r request) with(header ...string) request {
	r.header = slices.Concat(r.header, header)
	return r
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (n *node) send(r request) answer {
	n.t.Helper()
	sent, err := http.NewRequestWithContext(n.t.Context(), r.method, n.url, body(r))
	require.NoError(n.t, err)
	raw, query, _ := strings.Cut(r.path, "?")
	sent.URL.RawPath, sent.URL.RawQuery = raw, query
	sent.URL.Path, err = url.PathUnescape(raw)
	if err != nil {
		// A path that cannot be decoded goes out as it is.
		sent.URL.Opaque, sent.URL.Path, sent.URL.RawPath = "//"+sent.URL.Host+raw, "", ""
	}
	for pair := range slices.Chunk(r.header, 2) {
		if pair[0] == "Host" {
			sent.Host = pair[1]
			continue
		}
		sent.Header.Add(pair[0], pair[1])
	}
	if n.key != "" && sent.Header.Get("Authorization") == "" {
		sent.Header.Set("Authorization", "Bearer "+n.key)
	}
	got, err := n.http.Do(sent)
	require.NoError(n.t, err)
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	require.NoError(n.t, err)
	return answer{status: got.StatusCode, header: got.Header, body: string(text)}
}

func body(r request) io.Reader {
	if r.chunked {
		return io.MultiReader(strings.NewReader(r.body))
	}
	return strings.NewReader(r.body)
}

// must is send that must be answered with the status.
func (n *node) must(status int, method, path, body string, header ...string) answer {
	n.t.Helper()
	got := n.send(request{method: method, path: path, body: body, header: header})
	require.Equal(n.t, status, got.status, "%s %s: %s", method, path, got.body)
	return got
}

// exec runs a statement of the test's own.
func (n *node) exec(sql string) {
	n.t.Helper()
	_, err := n.pool.Exec(n.t.Context(), sql)
	require.NoError(n.t, err)
}

// eventually waits until it holds.
func (n *node) eventually(holds func() bool, what string) {
	n.t.Helper()
	over := time.NewTimer(patience)
	defer over.Stop()
	look := time.NewTicker(glance)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-over.C:
			require.FailNow(n.t, "it does not happen: "+what)
		}
	}
}
