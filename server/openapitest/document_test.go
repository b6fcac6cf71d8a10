package openapitest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wakelatch/wakelatch/server/openapitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canned answers every request with the same.
type canned struct {
	status int
	header http.Header
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	header := c.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Content-Type") == "" && c.body != "" {
		header.Set("Content-Type", "application/json")
	}
	return &http.Response{StatusCode: c.status, Header: header, Body: io.NopCloser(strings.NewReader(c.body)), Request: r}, nil
}

const runner = `{"id":"r","owner_principal":"p","label":"","kind":"local","admin_status":"enabled","liveness":"offline",
	"liveness_lease_expires_at":null,"last_seen_at":null,"wake_stream":"/runners/r/wake","wake_stream_offset":null,"sandbox_profiles":[],
	"diagnostics":null,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}`

func TestWhatTheDocumentDoesNotDescribeIsReported(t *testing.T) {
	for _, tc := range []struct {
		name, method, path, body string
		answer                   canned
		says                     string // "" is no report
	}{
		{"as described", "GET", "/_electric/runners/r", "", canned{status: 200, body: runner}, ""},
		{"a field too many", "GET", "/_electric/runners/r", "", canned{status: 200, body: strings.Replace(runner, "{", `{"secret":1,`, 1)}, "secret"},
		{"a field too few", "GET", "/_electric/runners/r", "", canned{status: 200, body: strings.Replace(runner, `"label":"",`, "", 1)}, "label"},
		{"a field of another type", "GET", "/_electric/runners/r", "", canned{status: 200, body: strings.Replace(runner, `"label":""`, `"label":7`, 1)}, "label"},
		{"a status", "GET", "/_electric/runners/r", "", canned{status: 409, body: failure("NOT_FOUND")}, "status is not supported"},
		{"a code of another status", "GET", "/_electric/runners/r", "", canned{status: 404, body: failure("UNAUTHORIZED")}, "code"},
		{"an error of another form", "GET", "/_electric/runners/r", "", canned{status: 404, body: `{"error":"x"}`}, "error"},
		{"a header", "GET", "/_electric/runners/r", "", canned{status: 200, body: runner, header: http.Header{"Stream-Cursor": {"1"}}}, "Stream-Cursor"},
		{"a missing header", "GET", "/healthz", "", canned{status: 503, body: failure("DRAINING")}, "status is not supported"},
		{"a needed header that is missing", "GET", "/readyz", "", canned{status: 503, body: failure("DRAINING")}, "Retry-After"},
		{"a body where none is", "POST", "/_electric/runners/r/claim", `{"stream":"a","generation":1}`, canned{status: 204, body: `{}`}, "no body"},
		{"an offset of another form", "HEAD", "/v1/stream/a", "", canned{status: 200, header: http.Header{"Etag": {"x"}, "X-New": {"1"}}}, "X-New"},
		{"a request that succeeds", "POST", "/_electric/runners", `{"label":"no id"}`, canned{status: 201, body: runner}, "the request"},
		{"a request that is refused", "POST", "/_electric/runners", `{"label":"no id"}`, canned{status: 400, body: failure("INVALID_REQUEST")}, ""},
		{"a query parameter", "GET", "/_electric/runners?color=red", "", canned{status: 200, body: `{"runners":[]}`}, "color"},
		{"a path", "GET", "/_electric/secrets", "", canned{status: 200, body: `{}`}, "no such path"},
		{"a path that is not there", "GET", "/_electric/secrets", "", canned{status: 404, body: failure("NOT_FOUND")}, ""},
		{"a method that is not there", "PATCH", "/_electric/runners", "", canned{status: 405, body: `oops`}, "not JSON"},
		{"a stream's path", "GET", "/v1/stream/a/b%2Fc/d?offset=-1", "", canned{status: 200, body: `[]`}, ""},
		{"an escaped path", "GET", "/demo%2Fone%2Fmain", "", canned{status: 404, body: failure("NOT_FOUND")}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var found []error
			transport := openapitest.Reporting(t, tc.answer, func(err error) { found = append(found, err) })
			r, err := http.NewRequestWithContext(t.Context(), tc.method, "http://127.0.0.1"+tc.path, strings.NewReader(tc.body))
			require.NoError(t, err)
			answer, err := transport.RoundTrip(r)
			require.NoError(t, err)
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, tc.answer.body, string(text), "the answer is passed on whole")
			if tc.says == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Contains(t, found[0].Error(), tc.says)
		})
	}
}

func failure(code string) string { return `{"error":{"code":"` + code + `","message":"m"}}` }
