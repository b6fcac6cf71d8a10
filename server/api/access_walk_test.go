package api_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/apikey"
)

// sample is a request of a row that succeeds for who may make it.
type sample struct {
	path, body string
	status     int
	// once is a request that succeeds only once, or changes what later ones need.
	once    bool
	headers []string
}

const because = `{"reason":"test"}`

// samples has one request for every row of the table, by the row's name.
func (w *world) samples() map[string]sample {
	claim := "/_electric/claims/" + w.consumer + "/1"
	jsonType := []string{"Content-Type", "application/json"}
	all := map[string]sample{
		"GET /healthz":  {path: "/healthz", status: 200},
		"HEAD /healthz": {path: "/healthz", status: 200},
		"GET /readyz":   {path: "/readyz", status: 200},
		"HEAD /readyz":  {path: "/readyz", status: 200},

		"POST /_electric/runners":                {path: "/_electric/runners", body: `{"id":"r9"}`, status: 201, once: true},
		"GET /_electric/runners":                 {path: "/_electric/runners", status: 200},
		"GET /_electric/runners/{id}":            {path: "/_electric/runners/r1", status: 200},
		"DELETE /_electric/runners/{id}":         {path: "/_electric/runners/r2", body: because, status: 204, once: true},
		"POST /_electric/runners/{id}/enable":    {path: "/_electric/runners/r2/enable", status: 200},
		"POST /_electric/runners/{id}/drain":     {path: "/_electric/runners/r2/drain", status: 200},
		"POST /_electric/runners/{id}/disable":   {path: "/_electric/runners/r2/disable", status: 200},
		"POST /_electric/runners/{id}/heartbeat": {path: "/_electric/runners/r1/heartbeat", body: `{"lease_ms":60000}`, status: 200},
		"GET /_electric/runners/{id}/health":     {path: "/_electric/runners/r1/health", status: 200},
		"POST /_electric/runners/{id}/claim":     {path: "/_electric/runners/r1/claim", body: w.wake, status: 200},
		"GET /_electric/runners/{id}/history":    {path: "/_electric/runners/r1/history", status: 200},

		"GET /_electric/claims":                             {path: "/_electric/claims", status: 200},
		"GET /_electric/claims/{consumer}/{epoch}":          {path: claim, status: 200},
		"POST /_electric/claims/{consumer}/{epoch}/release": {path: claim + "/release", body: because, status: 200, once: true},
		"POST /_electric/claims/verify":                     {path: "/_electric/claims/verify", body: `{"consumer_id":"` + w.consumer + `","epoch":1}`, status: 200},
		"POST /_electric/wake-callbacks/{consumer}":         {path: "/_electric/wake-callbacks/" + w.consumer, body: `{"epoch":1}`, status: 200},

		"POST /_electric/entity-types":       {path: "/_electric/entity-types", body: `{"name":"other"}`, status: 201, once: true},
		"GET /_electric/entity-types":        {path: "/_electric/entity-types", status: 200},
		"GET /_electric/entity-types/{name}": {path: "/_electric/entity-types/demo", status: 200},

		"GET /_electric/entities":                             {path: "/_electric/entities", status: 200},
		"PUT /_electric/entities/{type}/{id}":                 {path: "/_electric/entities/demo/new", body: `{}`, status: 201, once: true},
		"GET /_electric/entities/{type}/{id}":                 {path: "/_electric/entities/demo/one", status: 200},
		"GET /_electric/entities/{type}/{id}/dispatch":        {path: "/_electric/entities/demo/one/dispatch", status: 200},
		"GET /_electric/entities/{type}/{id}/history":         {path: "/_electric/entities/demo/one/history", status: 200},
		"DELETE /_electric/entities/{type}/{id}":              {path: "/_electric/entities/demo/one", body: because, status: 204, once: true},
		"PUT /_electric/entities/{type}/{id}/dispatch-policy": {path: "/_electric/entities/demo/one/dispatch-policy", body: `{"dispatch_policy":{"targets":[{"type":"runner","runnerId":"r3"}]},"reason":"test"}`, status: 200, once: true},
		"POST /_electric/entities/{type}/{id}/send":           {path: "/_electric/entities/demo/one/send", body: `{"payload":1}`, status: 200},
		"POST /_electric/entities/{type}/{id}/signal":         {path: "/_electric/entities/demo/one/signal", body: `{"signal":"SIGCONT"}`, status: 200},
		"POST /_electric/entities/{type}/{id}/unpark":         {path: "/_electric/entities/demo/one/unpark", body: because, status: 200},
		"POST /_electric/entities/{type}/{id}/tags/{key}":     {path: "/_electric/entities/demo/one/tags/a", body: `{"value":"c"}`, status: 200},
		"DELETE /_electric/entities/{type}/{id}/tags/{key}":   {path: "/_electric/entities/demo/one/tags/b", status: 200},
	}
	for _, mount := range []struct{ route, path string }{{"/v1/stream/{path}", "/v1/stream"}, {"/{path}", ""}} {
		main, wake := mount.path+"/demo/one/main", mount.path+"/runners/r1/wake"
		all["PUT "+mount.route+" an entity's stream"] = sample{path: main}
		all["PUT "+mount.route+" a runner's wake stream"] = sample{path: wake}
		all["POST "+mount.route+" an entity's stream"] = sample{path: main, body: `[{"a":1}]`, status: 204, headers: jsonType}
		all["POST "+mount.route+" a runner's wake stream"] = sample{path: wake, body: `[{"a":1}]`, headers: jsonType}
		all["GET "+mount.route+" an entity's stream"] = sample{path: main + "?offset=-1", status: 200}
		all["GET "+mount.route+" a runner's wake stream"] = sample{path: wake + "?offset=-1", status: 200}
		all["HEAD "+mount.route+" an entity's stream"] = sample{path: main, status: 200}
		all["HEAD "+mount.route+" a runner's wake stream"] = sample{path: wake, status: 200}
		all["DELETE "+mount.route+" an entity's stream"] = sample{path: main}
		all["DELETE "+mount.route+" a runner's wake stream"] = sample{path: wake}
	}
	plain := "/v1/stream/plain/a"
	all["PUT /v1/stream/{path} a stream of nobody's"] = sample{path: "/v1/stream/plain/new", status: 201, once: true, headers: jsonType}
	all["POST /v1/stream/{path} a stream of nobody's"] = sample{path: plain, body: `[{"a":1}]`, status: 204, headers: jsonType}
	all["GET /v1/stream/{path} a stream of nobody's"] = sample{path: plain + "?offset=-1", status: 200}
	all["HEAD /v1/stream/{path} a stream of nobody's"] = sample{path: plain, status: 200}
	all["DELETE /v1/stream/{path} a stream of nobody's"] = sample{path: plain, status: 204, once: true}
	return all
}

// caller is one kind of credential, made of a world, a tenant that has nothing, and one that has the same.
type accessCaller struct {
	name string
	// send is the headers that carry it.
	send func(own, empty, twin *world) []string
	role api.Role // of the key, "" without a good one
	// owner says whether the key is of the principal that owns the runners; foreign, whether it is another tenant's.
	owner, foreign bool
	// token is claim or write for one of the right claim, and wrong for any other; it counts only where tokens do.
	token string
	// instead is a token in the place of the key.
	instead bool
}

func accessCallers(g *guarded, own *world) []accessCaller {
	fixed := func(headers ...string) func(own, empty, twin *world) []string {
		return func(_, _, _ *world) []string { return headers }
	}
	bearer := func(text string) func(own, empty, twin *world) []string {
		return fixed("Authorization", "Bearer "+text)
	}
	id, revoked := g.key(own.tenant, "user:owner", api.RoleAdmin)
	_, err := apikey.NewManager(g.pool).Revoke(g.t.Context(), id, "test", "test")
	require.NoError(g.t, err)
	_, expired := g.key(own.tenant, "user:owner", api.RoleAdmin, func(r *apikey.CreateRequest) { r.ExpiresIn = time.Millisecond })
	admin := own.keys["admin"]
	all := []accessCaller{
		{name: "nothing", send: fixed()},
		{name: "an empty bearer", send: bearer("")},
		{name: "another scheme", send: fixed("Authorization", "Basic "+admin)},
		{name: "a key in the token's header", send: fixed("Electric-Claim-Token", admin), token: "wrong"},
		{name: "what is no key", send: bearer("wl_nothing")},
		{name: "two keys", send: fixed("Authorization", "Bearer "+admin, "Authorization", "Bearer "+admin)},
		{name: "an unknown key", send: bearer("wl_" + strings.Repeat("a", 12) + "_" + strings.Repeat("b", 26))},
		{name: "a wrong secret", send: bearer(admin[:len(admin)-26] + strings.Repeat("a", 26))},
		{name: "an expired key", send: bearer(expired)},
		{name: "a revoked key", send: bearer(revoked)},
		{name: "the claim token", send: func(own, _, _ *world) []string { return []string{"Electric-Claim-Token", own.claim} }, token: "claim"},
		{name: "the write token", send: func(own, _, _ *world) []string { return []string{"Electric-Claim-Token", own.write} }, token: "write"},
		{name: "the claim token as bearer", send: func(own, _, _ *world) []string { return []string{"Authorization", "Bearer " + own.claim} }, token: "claim", instead: true},
		{name: "the write token as bearer", send: func(own, _, _ *world) []string { return []string{"Authorization", "Bearer " + own.write} }, token: "write", instead: true},
		{name: "another claim's claim token", send: func(own, _, _ *world) []string { return []string{"Electric-Claim-Token", own.other} }, token: "wrong"},
		{name: "another claim's write token", send: func(own, _, _ *world) []string { return []string{"Electric-Claim-Token", own.otherWrite} }, token: "wrong"},
		{name: "a foreign claim token", send: func(_, _, twin *world) []string { return []string{"Electric-Claim-Token", twin.claim} }, token: "foreign claim"},
		{name: "a foreign write token, which acts on its own tenant", send: func(_, _, twin *world) []string { return []string{"Electric-Claim-Token", twin.write} }, token: "write"},
		{name: "a forged token", send: func(own, _, _ *world) []string {
			return []string{"Electric-Claim-Token", own.write[:len(own.write)-4] + "AAAA"}
		}, token: "wrong"},
		{name: "the claim token beside a revoked key", send: func(own, _, _ *world) []string {
			return []string{"Electric-Claim-Token", own.claim, "Authorization", "Bearer " + revoked}
		}, token: "claim"},
		{name: "the write token beside a revoked key", send: func(own, _, _ *world) []string {
			return []string{"Electric-Claim-Token", own.write, "Authorization", "Bearer " + revoked}
		}, token: "write"},
		{name: "the write token beside a foreign key", send: func(own, empty, _ *world) []string {
			return append(empty.bearer("admin"), "Electric-Claim-Token", own.write)
		}, role: api.RoleAdmin, foreign: true, token: "wrong"},
		{name: "the claim token beside a foreign key", send: func(own, empty, _ *world) []string {
			return append(empty.bearer("admin"), "Electric-Claim-Token", own.claim)
		}, role: api.RoleAdmin, foreign: true, token: "wrong"},
		{name: "a forged token beside an admin's key", send: func(own, _, _ *world) []string {
			return append(own.bearer("admin"), "Electric-Claim-Token", own.write[:len(own.write)-4]+"AAAA")
		}, role: api.RoleAdmin, owner: true, token: "wrong"},
	}
	for _, role := range apikey.Roles() {
		all = append(all,
			accessCaller{name: "the owner's key, " + string(role), role: role, owner: true, send: func(own, _, _ *world) []string { return own.bearer(string(role)) }},
			accessCaller{name: "a stranger's key, " + string(role), role: role, send: func(own, _, _ *world) []string { return own.bearer("stranger " + string(role)) }},
			accessCaller{name: "a foreign key, " + string(role), role: role, foreign: true, send: func(_, empty, _ *world) []string { return empty.bearer(string(role)) }})
	}
	return all
}

// verdict is the status that the table gives a caller, 0 for one who may.
func (r accessRow) verdict(c accessCaller) int {
	status := r.judge(c)
	if status != 0 && strings.HasPrefix(r.route, "GET ") && strings.HasPrefix(r.of, "a runner's wake stream") {
		return http.StatusServiceUnavailable
	}
	return status
}

func (r accessRow) judge(c accessCaller) int {
	least, more, _ := strings.Cut(r.opens, ", ")
	switch least {
	case "anybody":
		return 0
	case "nobody":
		return http.StatusForbidden
	case "claim token", "write token":
		right := c.token+" token" == least
		role, either := strings.CutPrefix(more, "or ")
		switch {
		case right:
			return 0
		case !either, c.token != "" && role == "client":
			return http.StatusUnauthorized
		}
		least, more = role, ""
	}
	switch {
	case c.role == "":
		return http.StatusUnauthorized
	case slices.Index(apikey.Roles(), c.role) < slices.Index(apikey.Roles(), api.Role(least)):
		return http.StatusForbidden
	case c.foreign && r.other != "own":
		status, _ := strconv.Atoi(r.other)
		return status
	case !c.foreign && more == "owner" && !c.owner && c.role != api.RoleAdmin:
		return http.StatusForbidden
	}
	return 0
}

// codes are those that a status has here.
var codes = map[int][]string{
	401: {"UNAUTHORIZED"}, 403: {"FORBIDDEN"}, 404: {"NOT_FOUND", "UNKNOWN_ENTITY_TYPE"}, 503: {"WAKE_STREAM_UNAVAILABLE"},
}

func TestEveryRouteWithEveryCredential(t *testing.T) {
	g := guard(t)
	own, empty, twin := g.newWorld(), g.emptyWorld(), g.newWorld()
	callers := accessCallers(g, own)
	asked := 0
	for _, row := range readAccessTable(t) {
		if row.route == "GET /metrics" {
			continue
		}
		t.Run(row.name(), func(t *testing.T) {
			for _, c := range callers {
				asked++
				at, foreign, want := own, empty, row.verdict(c)
				request, ok := at.samples()[row.name()]
				require.True(t, ok, "the test has no request for this row")
				if want == 0 && request.once {
					at, foreign = g.newWorld(), g.emptyWorld()
					request = at.samples()[row.name()]
				}
				method, _, _ := strings.Cut(row.route, " ")
				got := g.do(method, request.path, request.body, append(c.send(at, foreign, twin), request.headers...)...)
				if want == 0 {
					require.Equal(t, request.status, got.status, "%s may: %s", c.name, got.body)
					if c.foreign && row.other == "own" {
						require.NotContains(t, got.body, `"r1"`, "it shows nothing of another tenant")
						require.NotContains(t, got.body, "/demo/one")
					}
					continue
				}
				require.Equal(t, want, got.status, "%s may not: %s", c.name, got.body)
				if method != http.MethodHead && want >= http.StatusBadRequest {
					require.Contains(t, codes[want], got.failure(t).Code, c.name)
				}
				if want == http.StatusUnauthorized {
					require.Contains(t, got.header.Get("WWW-Authenticate"), "Bearer ", c.name)
				}
				if want == http.StatusServiceUnavailable {
					require.Equal(t, "5", got.header.Get("Retry-After"), c.name)
				}
			}
		})
	}
	t.Logf("%d requests of %d kinds of caller", asked, len(callers))
}
