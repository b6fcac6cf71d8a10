package api_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wakelatch/wakelatch/server/api"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// site is an API behind a real listener.
type site struct {
	t        testing.TB
	url      string
	registry *prometheus.Registry
	log      *lines
}

func serve(t testing.TB, change ...func(*api.Options)) *site {
	t.Helper()
	registry := prometheus.NewRegistry()
	log := &lines{out: t.Output()}
	o := api.Options{
		Logger:     slog.New(slog.NewJSONHandler(log, nil)),
		Registerer: registry,
		Gatherer:   registry,
	}
	server := httptest.NewUnstartedServer(nil)
	public, err := url.Parse("http://" + server.Listener.Addr().String())
	require.NoError(t, err)
	o.PublicURL = public
	o.Auth = api.NewNoAuth(public.Host, public)
	for _, f := range change {
		f(&o)
	}
	server.Config.Handler = api.New(o)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &site{t: t, url: server.URL, registry: registry, log: log}
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
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
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

func (r reply) failure(t testing.TB) wireError {
	t.Helper()
	var body struct {
		Error wireError `json:"error"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.body), &body), r.body)
	return body.Error
}
