package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
)

func TestUnknownPathIsNotFoundInTheWireForm(t *testing.T) {
	s := serve(t)
	for _, path := range []string{"/_electric/nothing", "/v1", "/_electric/runners%2Fr1"} {
		got := s.do("GET", path, "")
		require.Equal(t, 404, got.status, path)
		require.Equal(t, "NOT_FOUND", got.failure(t).Code, path)
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
	}
}

func TestDoubledSlashIsNotRedirected(t *testing.T) {
	s := serve(t)
	got := s.do("GET", "//healthz", "")
	require.Equal(t, 404, got.status)
	require.Empty(t, got.header.Get("Location"))
}

func TestWrongMethodNamesTheAllowedOnes(t *testing.T) {
	s := serve(t)
	got := s.do("POST", "/healthz", "")
	require.Equal(t, 405, got.status)
	require.Equal(t, "GET, HEAD", got.header.Get("Allow"))
	require.Equal(t, "METHOD_NOT_ALLOWED", got.failure(t).Code)
}

func TestRouteTable(t *testing.T) {
	require.Equal(t, []string{
		"GET /healthz",
		"HEAD /healthz",
		"GET /readyz",
		"HEAD /readyz",
		"GET /metrics",
		"POST /_electric/runners",
		"GET /_electric/runners",
		"GET /_electric/runners/{id}",
		"DELETE /_electric/runners/{id}",
		"POST /_electric/runners/{id}/enable",
		"POST /_electric/runners/{id}/drain",
		"POST /_electric/runners/{id}/disable",
		"POST /_electric/runners/{id}/heartbeat",
		"GET /_electric/runners/{id}/health",
		"POST /_electric/runners/{id}/claim",
		"GET /_electric/runners/{id}/history",
		"GET /_electric/claims",
		"GET /_electric/claims/{consumer}/{epoch}",
		"POST /_electric/claims/{consumer}/{epoch}/release",
		"POST /_electric/claims/verify",
		"POST /_electric/wake-callbacks/{consumer}",
		"POST /_electric/entity-types",
		"GET /_electric/entity-types",
		"GET /_electric/entity-types/{name}",
		"GET /_electric/entities",
		"PUT /_electric/entities/{type}/{id}",
		"GET /_electric/entities/{type}/{id}",
		"GET /_electric/entities/{type}/{id}/dispatch",
		"GET /_electric/entities/{type}/{id}/history",
		"DELETE /_electric/entities/{type}/{id}",
		"PUT /_electric/entities/{type}/{id}/dispatch-policy",
		"POST /_electric/entities/{type}/{id}/send",
		"POST /_electric/entities/{type}/{id}/signal",
		"POST /_electric/entities/{type}/{id}/unpark",
		"POST /_electric/entities/{type}/{id}/tags/{key}",
		"DELETE /_electric/entities/{type}/{id}/tags/{key}",
		"PUT /v1/stream/{path:.+}",
		"POST /v1/stream/{path:.+}",
		"GET /v1/stream/{path:.+}",
		"HEAD /v1/stream/{path:.+}",
		"DELETE /v1/stream/{path:.+}",
		"PUT /{path:.+}",
		"POST /{path:.+}",
		"GET /{path:.+}",
		"HEAD /{path:.+}",
		"DELETE /{path:.+}",
	}, api.Routes())
}

func TestEachPathReachesItsRoute(t *testing.T) {
	s := serve(t)
	for _, tc := range []struct{ method, path, route string }{
		{"GET", "/_electric/runners/r%2F1", "/_electric/runners/{id}"},
		{"GET", "/_electric/runners/r1/health", "/_electric/runners/{id}/health"},
		{"GET", "/_electric/runners/r1/health/", "unmatched"},
		{"GET", "/_electric/entities/demo/a%20b", "/_electric/entities/{type}/{id}"},
		{"GET", "/_electric/entities/demo/a/b", "unmatched"},
		{"POST", "/_electric/entities/demo/one/tags/a%2Fb", "/_electric/entities/{type}/{id}/tags/{key}"},
		{"GET", "/v1/stream/a/b/c", "/v1/stream/{path}"},
		{"GET", "/v1/stream/demo/one/main", "/v1/stream/{path}"},
		{"GET", "/v1/stream", "unmatched"},
		{"GET", "/demo/one/main", "/{path}"},
		{"GET", "/demo/one/%6dain", "/{path}"},
		{"GET", "/demo%2Fone%2Fmain", "/{path}"},
		{"GET", "/runners/r1/wake", "/{path}"},
		{"GET", "/%5Felectric/runners", "unmatched"},
		{"GET", "/_electric%2Frunners", "/{path}"},
		{"GET", "/", "unmatched"},
		{"GET", "/console", "unmatched"},
		{"PATCH", "/demo/one/main", "unmatched"},
	} {
		s.do(tc.method, tc.path, "", "X-Request-Id", tc.method+tc.path)
		require.Equal(t, tc.route, s.log.request(t, tc.method+tc.path)["route"], "%s %s", tc.method, tc.path)
	}
}

func TestAllowNamesEveryMethodOfThePath(t *testing.T) {
	s := serve(t)
	for path, allow := range map[string]string{
		"/_electric/runners":                  "GET, POST",
		"/_electric/entities/demo/one":        "DELETE, GET, PUT",
		"/_electric/entities/demo/one/tags/a": "DELETE, POST",
		"/_electric/wake-callbacks/w_1":       "POST",
		"/v1/stream/a":                        "DELETE, GET, HEAD, POST, PUT",
		"/demo/one/main":                      "DELETE, GET, HEAD, POST, PUT",
		"/readyz":                             "GET, HEAD",
	} {
		got := s.do("PATCH", path, "")
		require.Equal(t, 405, got.status, path)
		require.Equal(t, allow, got.header.Get("Allow"), path)
	}
}
