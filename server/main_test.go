package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const patience = 10 * time.Second

// start runs a node on the database until the test ends.
func start(t *testing.T, d *dbtest.Database, change ...func(*server.Options)) *server.Server {
	t.Helper()
	o := server.Options{
		DatabaseURL: d.DSN, PoolSize: 5, LongPoll: patience, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&o)
	}
	s, err := server.New(o)
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s
}

type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// ask sends one request and holds what comes of it against docs/openapi.yaml; headers are name, value pairs.
func ask(ctx context.Context, t *testing.T, s *server.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, s.URL()+path, bytes.NewBufferString(body))
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	resp, err := (&http.Client{Transport: openapitest.Transport(t, http.DefaultTransport)}).Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: text, err: err}
}

// must is ask, answered with the status.
func must(t *testing.T, s *server.Server, status int, method, path, body string, headers ...string) answer {
	t.Helper()
	got := ask(t.Context(), t, s, method, path, body, headers...)
	require.NoError(t, got.err)
	require.Equal(t, status, got.status, "%s %s: %s", method, path, got.body)
	return got
}

// field is a string in a JSON answer.
func (a answer) field(t *testing.T, name string) string {
	t.Helper()
	var body map[string]any
	require.NoError(t, json.Unmarshal(a.body, &body), "%s", a.body)
	text, ok := body[name].(string)
	require.True(t, ok, "%s is no text in %s", name, a.body)
	return text
}

// spawn makes a runner r1, a type demo that it works for, and the entity /demo/one with a first message.
func spawn(t *testing.T, s *server.Server) {
	t.Helper()
	must(t, s, 201, "POST", "/_electric/runners", `{"id":"r1"}`)
	must(t, s, 201, "POST", "/_electric/entity-types",
		`{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`)
	must(t, s, 201, "PUT", "/_electric/entities/demo/one", `{"initialMessage":"hello"}`)
}
