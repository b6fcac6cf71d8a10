package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) {
	dbtest.Main(m)
}

// site is an API behind a real listener.
type site struct {
	t        *testing.T
	url      string
	registry *prometheus.Registry
	log      *lines
	// http holds what it sends and what is answered against docs/openapi.yaml.
	http *http.Client
}

func serve(t *testing.T, change ...func(*api.Options)) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	public, err := url.Parse("http://" + server.Listener.Addr().String())
	require.NoError(t, err)
	log := &lines{out: t.Output()}
	registry := prometheus.NewRegistry()
	own := func(o *api.Options) {
		o.PublicURL, o.Auth = public, api.NewNoAuth(public.Host, public)
		o.Logger = slog.New(slog.NewJSONHandler(log, nil))
		o.Registerer, o.Gatherer = registry, registry
	}
	server.Config.Handler = api.New(options(t, append([]func(*api.Options){own}, change...)...))
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &site{t: t, url: server.URL, registry: registry, log: log, http: openapitest.Client(t)}
}

// options are those of an API without a domain behind it.
func options(t *testing.T, change ...func(*api.Options)) api.Options {
	t.Helper()
	keyring, err := token.NewKeyring(bytes.Repeat([]byte("k"), 32))
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	public := &url.URL{Scheme: "http", Host: "127.0.0.1:8080"}
	o := api.Options{
		Auth: api.NewNoAuth(public.Host, public), PublicURL: public, Keyring: keyring,
		Logger: slog.New(slog.NewJSONHandler(t.Output(), nil)), Registerer: registry, Gatherer: registry,
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request; headers are given as name, value pairs, and Host is taken for the Host header.
func (s *site) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url, strings.NewReader(body))
	require.NoError(s.t, err)
	// The path goes out as it is written here: nothing cleans or decodes it.
	raw, query, _ := strings.Cut(path, "?")
	r.URL.RawPath, r.URL.RawQuery = raw, query
	r.URL.Path, err = url.PathUnescape(raw)
	require.NoError(s.t, err)
	for pair := range slices.Chunk(headers, 2) {
		if pair[0] == "Host" {
			r.Host = pair[1]
			continue
		}
		r.Header.Add(pair[0], pair[1])
	}
	resp, err := s.http.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return reply{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// wireError is the error in an answer.
type wireError struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

func (r reply) failure(t *testing.T) wireError {
	t.Helper()
	var body struct {
		Error wireError `json:"error"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.body), &body), r.body)
	return body.Error
}
