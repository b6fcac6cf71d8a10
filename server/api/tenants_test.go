package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/apikey"
)

// ofNoTenant are the tables whose rows belong to the installation.
var ofNoTenant = []string{"secrets", "sweep_state"}

// walker makes requests of one tenant. All that it writes carries its mark, so that it can be found where it must not be.
type walker struct {
	*world
	mark string
}

// TestNoTenantSeesOrChangesAnother lets two tenants with equal ids do anything in any order. After each step the rows of
// the other tenant are what they were, and at the end neither can read a trace of the other.
func TestNoTenantSeesOrChangesAnother(t *testing.T) {
	t.Parallel()
	// Nothing changes rows but requests, and the releases that a done leaves behind, which are waited for.
	g := guard(t, func(o *server.Options) { o.SweepDisabled = true })
	tables := g.tablesOfTenants()
	taken := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		var pair [2]*walker
		for i := range pair {
			w := g.newWorld()
			pair[i] = &walker{world: w, mark: w.tenant + "-mark"}
		}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			turn := rapid.IntRange(0, 1).Draw(r, "tenant")
			acts, other := pair[turn], pair[1-turn]
			g.settle()
			before := g.dump(tables, other.tenant)
			name := rapid.SampledFrom(operations()).Draw(r, "operation")
			got := acts.perform(r, name, other)
			g.settle()
			if diff := cmp.Diff(before, g.dump(tables, other.tenant)); diff != "" {
				r.Fatalf("%s of %s (%d) changed %s:\n%s", name, acts.tenant, got.status, other.tenant, diff)
			}
			if got.status >= 500 {
				r.Fatalf("%s: %d %s", name, got.status, got.body)
			}
			if got.status < 300 {
				taken[name]++
			}
		}
		for turn := range pair {
			reads, other := pair[turn], pair[1-turn]
			for path, body := range reads.readAll(other) {
				if strings.Contains(body, other.mark) || strings.Contains(body, other.tenant) {
					r.Fatalf("%s shows %s what belongs to %s:\n%s", path, reads.tenant, other.tenant, body)
				}
			}
		}
	})
	for _, name := range operations() {
		if !strings.HasPrefix(name, "foreign") {
			require.NotZero(t, taken[name], "%s never succeeded, so it tested nothing", name)
		}
		t.Logf("%s: %d", name, taken[name])
	}
}

// tablesOfTenants are the tables that have rows of tenants; a table that has none must be known.
func (g *guarded) tablesOfTenants() []string {
	g.t.Helper()
	rows, err := g.pool.Query(g.t.Context(), `
		SELECT t.table_name::text, EXISTS (SELECT 1 FROM information_schema.columns c
		       WHERE c.table_schema = 'wakelatch' AND c.table_name = t.table_name AND c.column_name = 'tenant_id')
		FROM information_schema.tables t WHERE t.table_schema = 'wakelatch' ORDER BY 1`)
	require.NoError(g.t, err)
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		var has bool
		require.NoError(g.t, rows.Scan(&name, &has))
		if has {
			tables = append(tables, name)
			continue
		}
		require.Contains(g.t, ofNoTenant, name, "whose rows are these?")
	}
	require.NoError(g.t, rows.Err())
	require.Greater(g.t, len(tables), 10)
	return tables
}

// dump is every row of a tenant, and what its jobs are to do.
func (g *guarded) dump(tables []string, tenant string) map[string]string {
	g.t.Helper()
	var parts []string
	for _, table := range tables {
		parts = append(parts, fmt.Sprintf("SELECT '%s', COALESCE(string_agg(x::text, E'\\n' ORDER BY x::text), '') FROM wakelatch.%s x WHERE tenant_id = $1", table, table))
	}
	parts = append(parts, `SELECT 'river_job', COALESCE(string_agg(j.args::text, E'\n' ORDER BY j.args::text), '') FROM river_job j
		WHERE j.args::text ~ ('"' || $1::text || '"')`)
	rows, err := g.pool.Query(g.t.Context(), strings.Join(parts, " UNION ALL "), tenant)
	require.NoError(g.t, err)
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var table, text string
		require.NoError(g.t, rows.Scan(&table, &text))
		all[table] = text
	}
	require.NoError(g.t, rows.Err())
	return all
}

// settle waits until no job is left that is due.
func (g *guarded) settle() {
	g.t.Helper()
	require.Eventually(g.t, func() bool {
		var due int
		err := g.pool.QueryRow(g.t.Context(), "SELECT count(*) FROM river_job WHERE state IN ('available', 'running', 'retryable')").Scan(&due)
		return err == nil && due == 0
	}, patience, patience/10000)
}

// as sends a request with a key of the role.
func (w *walker) as(role, method, path, body string, headers ...string) reply {
	w.t.Helper()
	return w.do(method, path, body, append(headers, w.bearer(role)...)...)
}

// operations are what a walker can do.
func operations() []string {
	return []string{
		"register runner", "beat", "set runner", "delete runner", "register type", "spawn", "send", "send later", "signal", "tag",
		"tag as holder", "append", "make stream", "write stream", "delete stream", "claim", "confirm", "heartbeat", "done", "hand back",
		"force release", "verify", "unpark", "move", "delete entity", "make key", "revoke key",
		"foreign release", "foreign verify", "foreign callback", "foreign token beside own key",
	}
}

func (w *walker) perform(r *rapid.T, name string, other *walker) reply {
	pick := func(choices ...string) string { return rapid.SampledFrom(choices).Draw(r, "choice") }
	entity := "/_electric/entities/demo/"
	reason := `{"reason":"` + w.mark + `"}`
	jsonType := []string{"Content-Type", "application/json"}
	switch name {
	case "register runner":
		return w.as("runner", "POST", "/_electric/runners", `{"id":"`+pick("r1", "r2", "r7")+`","label":"`+w.mark+`"}`)
	case "beat":
		return w.as("runner", "POST", "/_electric/runners/r1/heartbeat", `{"lease_ms":60000,"wake_stream_offset":"-1","diagnostics":{"running":true}}`)
	case "set runner":
		return w.as("runner", "POST", "/_electric/runners/"+pick("r1", "r2")+"/"+pick("enable", "drain", "disable"), reason)
	case "delete runner":
		return w.as("runner", "DELETE", "/_electric/runners/"+pick("r2", "r3"), reason)
	case "register type":
		return w.as("runner", "POST", "/_electric/entity-types", `{"name":"`+pick("demo", "job")+`","description":"`+w.mark+`","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`)
	case "spawn":
		return w.as("client", "PUT", entity+pick("one", "four", "five"), `{"args":{"of":"`+w.mark+`"},"tags":{"of":"`+w.mark+`"},"initialMessage":"`+w.mark+`"}`)
	case "send":
		return w.as("client", "POST", entity+pick("one", "two", "three")+"/send", `{"payload":"`+w.mark+`","key":"`+pick("k1", "k2")+`"}`)
	case "send later":
		return w.as("client", "POST", entity+pick("one", "two")+"/send", `{"payload":"`+w.mark+`","afterMs":3600000}`)
	case "signal":
		return w.as("client", "POST", entity+pick("one", "two", "three")+"/signal", `{"signal":"`+pick("SIGSTOP", "SIGCONT", "SIGTERM", "SIGINT", "SIGKILL")+`","reason":"`+w.mark+`"}`)
	case "tag":
		return w.as("client", "POST", entity+pick("one", "two")+"/tags/a", `{"value":"`+w.mark+`"}`)
	case "tag as holder":
		return w.do("POST", entity+"one/tags/b", `{"value":"`+w.mark+`"}`, "Electric-Claim-Token", w.write)
	case "append":
		return w.do("POST", "/demo/one/main", `[{"of":"`+w.mark+`"}]`, append(jsonType, "Electric-Claim-Token", w.write)...)
	case "make stream":
		return w.as("client", "PUT", "/v1/stream/plain/"+pick("a", "b"), "", jsonType...)
	case "write stream":
		return w.as("client", "POST", "/v1/stream/plain/"+pick("a", "b"), `[{"of":"`+w.mark+`"}]`, jsonType...)
	case "delete stream":
		return w.as("client", "DELETE", "/v1/stream/plain/"+pick("a", "b"), "")
	case "claim":
		return w.as("runner", "POST", "/_electric/runners/r1/claim", w.wake)
	case "force release":
		return w.as("admin", "POST", "/_electric/claims/"+w.consumer+"/1/release", reason)
	case "verify":
		return w.as("viewer", "POST", "/_electric/claims/verify", `{"consumer_id":"`+w.consumer+`","epoch":1,"write_token":"`+w.write+`"}`)
	case "unpark":
		return w.as("admin", "POST", entity+pick("one", "two")+"/unpark", reason)
	case "move":
		return w.as("admin", "PUT", entity+pick("one", "two")+"/dispatch-policy", `{"dispatch_policy":{"targets":[{"type":"runner","runnerId":"`+pick("r1", "r2")+`"}]},"reason":"`+w.mark+`"}`)
	case "delete entity":
		return w.as("admin", "DELETE", entity+pick("one", "two", "three"), reason)
	case "make key":
		_, w.keys["spare"] = w.key(w.tenant, "user:owner", api.RoleViewer, func(c *apikey.CreateRequest) { c.Label = w.mark })
		return reply{status: 201}
	case "revoke key":
		return w.revoke()
	case "foreign release":
		return w.as("admin", "POST", "/_electric/claims/"+other.consumer+"/1/release", reason)
	case "foreign verify":
		return w.as("admin", "POST", "/_electric/claims/verify", `{"consumer_id":"`+other.consumer+`","epoch":1,"write_token":"`+other.write+`"}`)
	case "foreign callback":
		return w.do("POST", "/_electric/wake-callbacks/"+other.consumer, `{"done":true}`, "Electric-Claim-Token", w.claim)
	case "foreign token beside own key":
		return w.as("admin", "POST", "/demo/one/main", `[{"of":"`+w.mark+`"}]`, append(jsonType, "Electric-Claim-Token", other.write)...)
	}
	return w.callBack(name)
}

// callBack sends what the holder of /demo/one says to the callback.
func (w *walker) callBack(name string) reply {
	body := map[string]string{
		"confirm": `{"epoch":1,"wakeId":"` + w.consumer + `"}`, "heartbeat": `{"epoch":1}`, "done": `{"epoch":1,"done":true}`,
		"hand back": `{"epoch":1,"release":true,"reason":"` + w.mark + `"}`,
	}[name]
	if name == "confirm" {
		// The claim of /demo/one is confirmed already: it is the one of /demo/two.
		n := w.as("runner", "POST", "/_electric/runners/r1/claim", w.wake)
		consumer, token := tokenIn(n)
		return w.do("POST", "/_electric/wake-callbacks/"+consumer, `{"epoch":1,"wakeId":"`+consumer+`"}`, "Electric-Claim-Token", token)
	}
	return w.do("POST", "/_electric/wake-callbacks/"+w.consumer, body, "Electric-Claim-Token", w.claim)
}

func (w *walker) revoke() reply {
	w.t.Helper()
	spare := w.keys["spare"]
	if spare == "" {
		_, spare = w.key(w.tenant, "user:owner", api.RoleViewer)
	}
	_, err := apikey.NewManager(w.pool).Revoke(w.t.Context(), spare[3:15], "operator:test", w.mark)
	require.NoError(w.t, err)
	return reply{status: 200}
}

// readAll is all that a tenant can read, and what it is told of the other's claim.
func (w *walker) readAll(other *walker) map[string]string {
	all := map[string]string{}
	for _, path := range []string{
		"/_electric/runners", "/_electric/runners/r1", "/_electric/runners/r1/health", "/_electric/runners/r1/history", "/_electric/runners/r2/history",
		"/_electric/claims", "/_electric/claims/" + w.consumer + "/1", "/_electric/claims/" + other.consumer + "/1",
		"/_electric/entity-types", "/_electric/entity-types/demo", "/_electric/entities", "/_electric/entities/demo/one", "/_electric/entities/demo/two",
		"/_electric/entities/demo/one/dispatch", "/_electric/entities/demo/one/history", "/_electric/entities/demo/two/history",
		"/demo/one/main?offset=-1", "/demo/two/main?offset=-1", "/demo/three/main?offset=-1", "/runners/r1/wake?offset=-1", "/runners/r2/wake?offset=-1",
		"/v1/stream/plain/a?offset=-1", "/v1/stream/plain/b?offset=-1", "/v1/stream/demo/one/main?offset=-1",
	} {
		all[path] = w.as("admin", "GET", path, "").body
	}
	return all
}
