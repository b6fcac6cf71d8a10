package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

// TestSecretsAreNeverLoggedNorKept sends keys and tokens wherever a request has room for text, right and wrong ones, and
// looks for them in everything that the node said and wrote.
func TestSecretsAreNeverLoggedNorKept(t *testing.T) {
	t.Parallel()
	tokenKey := bytes.Repeat([]byte("s3cr"), 8)
	g := guard(t, func(o *server.Options) { o.TokenKeys = [][]byte{tokenKey} })
	w := g.newWorld()
	secrets := map[string]string{"the key": w.keys["runner"], "a claim token": w.claim, "a write token": w.write}
	for name, secret := range secrets {
		// Where it belongs, and where another one does.
		for _, headers := range [][]string{
			{"Authorization", "Bearer " + secret},
			{"Electric-Claim-Token", secret},
			{"Authorization", "Bearer " + secret, "Electric-Claim-Token", secret},
			{"Authorization", "Basic " + secret},
			{"Authorization", "Bearer " + secret + "x"},
		} {
			g.do("GET", "/_electric/runners", "", headers...)
			g.do("POST", "/demo/one/main", `[{"a":1}]`, append(headers, "Content-Type", "application/json")...)
			g.do("POST", "/demo/none/main", `[`, headers...)
			g.do("POST", "/_electric/wake-callbacks/"+w.consumer, `{"epoch":1}`, headers...)
			g.do("POST", "/_electric/entities/demo/one/tags/a", `{"value":"b"}`, headers...)
			g.do("GET", "/runners/r1/wake?offset=-1", "", headers...)
			g.do("GET", "/runners/none/wake?offset=-1", "", headers...)
		}
		// Where it does not belong. What is refused must not be kept.
		escaped := url.PathEscape(secret)
		runner := w.bearer("runner")
		for _, path := range []string{
			"/_electric/runners/" + escaped, "/" + escaped, "/demo/" + escaped + "/main?offset=-1", "/runners/" + escaped + "/wake?offset=-1",
			"/_electric/claims/" + escaped + "/1", "/_electric/entities/demo/" + escaped, "/v1/stream/" + escaped, "/_electric/entity-types/" + escaped,
			"/_electric/runners?after=" + escaped, "/demo/one/main?offset=" + escaped,
		} {
			g.do("GET", path, "", runner...)
			g.do("GET", path, "")
		}
		for _, header := range []string{"Electric-Principal", "Electric-Runner-Id", "X-Request-Id", "Producer-Id", "Content-Type", "Origin", "User-Agent"} {
			g.do("POST", "/demo/one/main", `[{"a":1}]`, append(runner, header, secret)...)
			g.do("GET", "/_electric/runners", "", append(runner, header, secret)...)
		}
		for _, body := range []string{
			`{"id":"%s/"}`, `{"id":"r1","owner_principal":"%s"}`, `{"id":"r1","wake_stream":"%s"}`, `{"id":"r1","kind":"%s"}`, `%s`, `{"%s":`,
		} {
			g.do("POST", "/_electric/runners", fmt.Sprintf(body, secret), runner...)
		}
		g.do("POST", "/_electric/runners/r1/claim", `{"stream":"`+secret+`","generation":1}`, runner...)
		g.do("POST", "/_electric/wake-callbacks/"+escaped, `{"epoch":1}`, "Electric-Claim-Token", w.claim)
		g.do("POST", "/_electric/claims/verify", `{"consumer_id":"`+w.consumer+`","epoch":1,"write_token":"`+secret+`"}`, runner...)
		g.do("POST", "/_electric/entities/demo/one/signal", `{"signal":"`+secret+`"}`, runner...)
		g.do("BREW", "/_electric/"+escaped, "", runner...)
		t.Logf("sent %s everywhere", name)
	}
	g.do("POST", "/_electric/wake-callbacks/"+w.consumer, `{"done":true}`, "Electric-Claim-Token", w.claim)

	secrets["the token key"], secrets["another key"] = string(tokenKey), w.keys["admin"]
	logged, kept := g.log.text(), g.everythingKept()
	require.Contains(t, logged, "redacted", "there was something to hide")
	for name, secret := range secrets {
		// What is secret of a key or a token is its end.
		tail := secret[max(0, len(secret)-26):]
		for _, form := range []string{tail, strings.ToUpper(tail), hex.EncodeToString([]byte(tail)), base64.StdEncoding.EncodeToString([]byte(tail))} {
			require.NotContains(t, logged, form, "%s is in the log", name)
			require.NotContains(t, kept, form, "%s is in the database", name)
		}
	}
}

// everythingKept is every row of every table of the database.
func (g *guarded) everythingKept() string {
	g.t.Helper()
	rows, err := g.pool.Query(g.t.Context(), `SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
		WHERE table_schema IN ('wakelatch', 'public') AND table_type = 'BASE TABLE'`)
	require.NoError(g.t, err)
	var tables []string
	for rows.Next() {
		var name string
		require.NoError(g.t, rows.Scan(&name))
		tables = append(tables, name)
	}
	require.NoError(g.t, rows.Err())
	var all strings.Builder
	for _, table := range tables {
		var text string
		require.NoError(g.t, g.pool.QueryRow(g.t.Context(), "SELECT COALESCE(string_agg(x::text, E'\\n'), '') FROM "+table+" x").Scan(&text))
		all.WriteString(text)
	}
	return all.String()
}
