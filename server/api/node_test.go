package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const patience = 10 * time.Second

// node is a whole node with a database of its own.
func node(t *testing.T) *site {
	t.Helper()
	log := &lines{out: t.Output()}
	s, err := server.New(server.Options{
		DatabaseURL: dbtest.New(t).DSN, PoolSize: 4, LongPoll: 50 * time.Millisecond,
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &site{t: t, url: s.URL(), registry: s.Registry(), log: log, http: openapitest.Client(t)}
}

// want sends a request that must be answered with the status, and returns the JSON of its answer.
func (s *site) want(status int, method, path, body string, headers ...string) map[string]any {
	s.t.Helper()
	got := s.do(method, path, body, headers...)
	require.Equal(s.t, status, got.status, "%s %s: %s", method, path, got.body)
	var out map[string]any
	if strings.HasPrefix(got.body, "{") {
		require.NoError(s.t, json.Unmarshal([]byte(got.body), &out))
	}
	return out
}

// wantError is want for an error with the code.
func (s *site) wantError(status int, code, method, path, body string, headers ...string) wireError {
	s.t.Helper()
	got := s.do(method, path, body, headers...)
	require.Equal(s.t, status, got.status, "%s %s: %s", method, path, got.body)
	said := got.failure(s.t)
	require.Equal(s.t, code, said.Code, said.Message)
	return said
}

// prepare makes the runner r1 and the type demo that it works for.
func (s *site) prepare() {
	s.t.Helper()
	s.want(201, "POST", "/_electric/runners", `{"id":"r1"}`)
	s.want(201, "POST", "/_electric/entity-types",
		`{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`)
}

// claimed is a claim of /demo/one with its first message.
type claimed struct {
	callback, consumer, token string
	notification              map[string]any
}

func (s *site) claim() claimed {
	s.t.Helper()
	s.prepare()
	s.want(201, "PUT", "/_electric/entities/demo/one", `{"initialMessage":"hello","tags":{"a":"b"},"args":{"n":1}}`,
		"Electric-Principal", "user:alice")
	event := strings.Trim(s.do("GET", "/runners/r1/wake?offset=-1", "").body, "[]")
	n := s.want(200, "POST", "/_electric/runners/r1/claim", event)
	c := claimed{notification: n, consumer: n["consumerId"].(string), token: n["claimToken"].(string)}
	c.callback = "/_electric/wake-callbacks/" + c.consumer
	return c
}
