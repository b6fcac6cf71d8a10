package api_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
)

func TestRequestIDIsKeptOrMade(t *testing.T) {
	s := serve(t)
	require.Equal(t, "abc-123", s.do("GET", "/nowhere/at/all", "", "X-Request-Id", "abc-123").header.Get("X-Request-Id"))
	for _, bad := range []string{"", "a b", strings.Repeat("x", 200)} {
		made := s.do("GET", "/nowhere/at/all", "", "X-Request-Id", bad).header.Get("X-Request-Id")
		require.NotEmpty(t, made)
		require.NotEqual(t, bad, made)
	}
}

func TestOneLinePerRequest(t *testing.T) {
	s := serve(t)
	s.do("GET", "/_electric/claims/w_1/0", "", "X-Request-Id", "r-1", "Electric-Principal", "user:alice")
	line := s.log.request(t, "r-1")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "request", "component": "api", "request_id": "r-1", "method": "GET",
		"route": "/_electric/claims/{consumer}/{epoch}", "path": "/_electric/claims/w_1/0", "status": float64(400),
		"tenant_id": "default", "principal": "user:alice", "error": "epoch must be a whole number above zero",
		"time": line["time"], "bytes": line["bytes"], "duration_ms": line["duration_ms"],
	}, line)
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	// The runners' service is missing, so its routes panic.
	s := serve(t)
	got := s.do("GET", "/_electric/runners/r1", "", "X-Request-Id", "r-1")
	require.Equal(t, http.StatusInternalServerError, got.status)
	require.Equal(t, "INTERNAL", got.failure(t).Code)
	require.NotContains(t, got.body, "nil pointer")
	line := s.log.request(t, "r-1")
	require.Equal(t, "ERROR", line["level"])
	require.Contains(t, line["error"], "nil pointer")
	require.Contains(t, line["stack"], "runners.go")
	require.Equal(t, http.StatusOK, s.do("GET", "/healthz", "").status, "the server goes on")
}

func TestMetricsAreByTemplate(t *testing.T) {
	s := serve(t)
	s.do("GET", "/_electric/claims/w_1/0", "")
	s.do("GET", "/_electric/claims/w_2/0", "")
	s.do("GET", "/_electric/none", "")
	s.do("BREW", "/_electric/none", "")
	s.do("POST", "/v1/stream/a/b%2Fc", "")
	require.NoError(t, testutil.GatherAndCompare(s.registry, strings.NewReader(`
# HELP wakelatch_http_requests_total Requests answered, by the route's template.
# TYPE wakelatch_http_requests_total counter
wakelatch_http_requests_total{code="400",method="GET",route="/_electric/claims/{consumer}/{epoch}"} 2
wakelatch_http_requests_total{code="404",method="GET",route="unmatched"} 1
wakelatch_http_requests_total{code="404",method="OTHER",route="unmatched"} 1
wakelatch_http_requests_total{code="500",method="POST",route="/v1/stream/{path}"} 1
`), "wakelatch_http_requests_total"))
	problems, err := testutil.GatherAndLint(s.registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestBodyIsBounded(t *testing.T) {
	s := serve(t, func(o *api.Options) { o.MaxBody = 1024 })
	got := s.do("POST", "/_electric/runners", `{"id":"`+strings.Repeat("x", 2000)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	require.Equal(t, "BODY_TOO_LARGE", got.failure(t).Code)
}

func TestReadinessIsTheNodes(t *testing.T) {
	ready := true
	s := serve(t, func(o *api.Options) { o.Ready = func() bool { return ready } })
	require.Equal(t, 200, s.do("GET", "/readyz", "").status)
	ready = false
	got := s.do("GET", "/readyz", "")
	require.Equal(t, 503, got.status)
	require.Equal(t, "DRAINING", got.failure(t).Code)
	require.Equal(t, 200, s.do("HEAD", "/healthz", "").status)
}

func TestSlowBodyIsGivenUp(t *testing.T) {
	s := serve(t, func(o *api.Options) { o.RequestTimeout = 100 * time.Millisecond })
	var dialer net.Dialer
	connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { require.NoError(t, connection.Close()) }()
	_, err = connection.Write([]byte("POST /_electric/runners HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	answer, err := io.ReadAll(connection)
	require.NoError(t, err, "the server closes the connection")
	require.Contains(t, string(answer), "HTTP/1.1 408 ")
	require.Contains(t, string(answer), "REQUEST_TIMEOUT")
}
