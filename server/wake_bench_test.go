package server_test

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// caller sends requests that must succeed, without holding them against the documents.
type caller struct {
	b   *testing.B
	url string
}

func (c caller) do(method, path, body, token string) (string, http.Header) {
	c.b.Helper()
	r, err := http.NewRequestWithContext(c.b.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.b, err)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Electric-Claim-Token", token)
	}
	answered, err := http.DefaultClient.Do(r)
	require.NoError(c.b, err)
	text, err := io.ReadAll(answered.Body)
	require.NoError(c.b, err)
	require.NoError(c.b, answered.Body.Close())
	require.Less(c.b, answered.StatusCode, 300, "%s %s: %s", method, path, text)
	return string(text), answered.Header
}

func word(text, name string) string {
	_, rest, _ := strings.Cut(text, `"`+name+`":"`)
	found, _, _ := strings.Cut(rest, `"`)
	return found
}

// BenchmarkWake takes wakes from send to done, one after the other, and says what each leaves in the database: each
// message and each answer is about 100 bytes.
func BenchmarkWake(b *testing.B) {
	d := dbtest.New(b)
	s, err := server.New(server.Options{DatabaseURL: d.DSN, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	require.NoError(b, s.Start(b.Context()))
	defer func() { require.NoError(b, s.Stop(b.Context())) }()
	c := caller{b, s.URL()}
	c.do("POST", "/_electric/runners", `{"id":"r1"}`, "")
	c.do("POST", "/_electric/entity-types", `{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`, "")
	c.do("PUT", "/_electric/entities/demo/one", `{}`, "")
	size := func() (bytes int64) {
		require.NoError(b, d.Pool.QueryRow(b.Context(),
			"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'wakelatch'::regnamespace AND relkind = 'r'").Scan(&bytes))
		return bytes
	}
	text := strings.Repeat("x", 80)
	before, offset := size(), "-1"
	for b.Loop() {
		c.do("POST", "/_electric/entities/demo/one/send", `{"payload":"`+text+`"}`, "")
		wake, header := c.do("GET", "/runners/r1/wake?live=long-poll&offset="+offset, "", "")
		offset = header.Get("Stream-Next-Offset")
		claim, _ := c.do("POST", "/_electric/runners/r1/claim", strings.Trim(wake, "[]"), "")
		callback, token := "/_electric/wake-callbacks/"+word(claim, "consumerId"), word(claim, "claimToken")
		confirmed, _ := c.do("POST", callback, `{"wakeId":"`+word(claim, "consumerId")+`"}`, token)
		_, header = c.do("POST", "/demo/one/main", `[{"value":"`+text+`"}]`, word(confirmed, "writeToken"))
		tail := header.Get("Stream-Next-Offset")
		if tail == "" {
			_, header = c.do("GET", "/demo/one/main?offset=now", "", "")
			tail = header.Get("Stream-Next-Offset")
		}
		c.do("POST", callback, `{"done":true,"acks":[{"path":"/demo/one/main","offset":`+strconv.Quote(tail)+`}]}`, token)
	}
	b.ReportMetric(float64(size()-before)/float64(b.N), "stored-B/wake")
}
