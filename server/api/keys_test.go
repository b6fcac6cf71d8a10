package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/apikey"
)

func TestAnAgentActsForTheUserWhoseEntityItWorksOn(t *testing.T) {
	t.Parallel()
	g := guard(t)
	w := g.emptyWorld()
	_, alice := g.key(w.tenant, "user:alice", api.RoleClient)
	_, agents := g.key(w.tenant, "service:agents", api.RoleRunner)
	agent := []string{"Authorization", "Bearer " + agents}
	as := func(principal string) []string {
		return slices.Concat(agent, []string{"Electric-Principal", principal})
	}
	asAlice := as("user:alice")
	g.want(201, "POST", "/_electric/runners", `{"id":"r1"}`, agent...)
	g.want(201, "POST", "/_electric/entity-types", `{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`, agent...)
	g.want(201, "PUT", "/_electric/entities/demo/one", `{"initialMessage":"hello"}`, "Authorization", "Bearer "+alice)

	said := g.wantError(403, "FORBIDDEN", "PUT", "/_electric/entities/demo/two", `{}`, asAlice...)
	require.Contains(t, said.Message, "electric-principal")
	event := strings.Trim(g.do("GET", "/runners/r1/wake?offset=-1", "", agent...).body, "[]\n")
	n := g.want(200, "POST", "/_electric/runners/r1/claim", event, agent...)

	made := g.want(201, "PUT", "/_electric/entities/demo/two", `{}`, asAlice...)
	require.Equal(t, "/principal/user%3Aalice", made["created_by"])
	g.want(200, "POST", "/_electric/entities/demo/one/send", `{"payload":1}`, asAlice...)
	g.wantError(403, "FORBIDDEN", "PUT", "/_electric/entities/demo/three", `{}`, as("user:bob")...)
	g.wantError(400, "INVALID_REQUEST", "PUT", "/_electric/entities/demo/three", `{}`, as("nobody")...)
	g.wantError(403, "FORBIDDEN", "POST", "/_electric/runners", `{"id":"r2"}`, asAlice...)
	made = g.want(201, "PUT", "/_electric/entities/demo/own", `{}`, as("service:agents")...)
	require.Equal(t, "/principal/service%3Aagents", made["created_by"], "the key's own name is always taken")

	g.want(200, "POST", "/_electric/wake-callbacks/"+n["consumerId"].(string), `{"done":true}`, "Electric-Claim-Token", n["claimToken"].(string))
	require.Eventually(t, func() bool {
		return g.do("GET", "/_electric/entities", "", asAlice...).status == http.StatusForbidden
	}, patience, 10*time.Millisecond, "with the claim ends what it allowed")
}

func TestARevocationReachesEveryNode(t *testing.T) {
	t.Parallel()
	g := guard(t)
	other := guardOn(t, g)
	id, key := g.key("acme", "user:alice", api.RoleViewer)
	bearer := []string{"Authorization", "Bearer " + key}
	for _, n := range []*guarded{g, other} {
		n.want(200, "GET", "/_electric/entities", "", bearer...)
	}
	_, err := apikey.NewManager(g.pool).Revoke(t.Context(), id, "test", "test")
	require.NoError(t, err)
	revoked := time.Now()
	for _, n := range []*guarded{g, other} {
		require.Eventually(t, func() bool {
			return n.do("GET", "/_electric/entities", "", bearer...).status == http.StatusUnauthorized
		}, 3*time.Second, 10*time.Millisecond)
		t.Logf("refused after %s", time.Since(revoked).Round(time.Millisecond))
	}
}

func TestARateLimitStopsNoWake(t *testing.T) {
	t.Parallel()
	g := guard(t)
	w := g.newWorld()
	limited := guardOn(t, g, func(o *server.Options) { o.Access.RateLimit, o.Access.RateBurst = 1, 1 })
	runner := w.bearer("runner")
	// What is left of the limit is used up with every turn, since a token of it comes back each second.
	exhaust := func() {
		require.Eventually(t, func() bool {
			return limited.do("GET", "/_electric/runners", "", runner...).status == http.StatusTooManyRequests
		}, patience, time.Millisecond)
	}
	exhaust()
	got := limited.do("GET", "/_electric/runners", "", runner...)
	if got.status == http.StatusTooManyRequests {
		require.Equal(t, "RATE_LIMITED", got.failure(t).Code)
		require.Equal(t, "1", got.header.Get("Retry-After"))
	}
	exhaust()
	wake := limited.do("GET", "/runners/r1/wake?offset=-1", "", runner...)
	require.Equal(t, http.StatusServiceUnavailable, wake.status, "a reader of wakes is never sent 4xx")
	require.Equal(t, "5", wake.header.Get("Retry-After"))

	beside := slices.Concat(runner, []string{"Electric-Claim-Token"})
	for range 5 {
		exhaust()
		limited.want(200, "POST", "/_electric/wake-callbacks/"+w.consumer, `{"epoch":1}`, append(beside, w.claim)...)
		limited.want(204, "POST", "/demo/one/main", `[{"a":1}]`, append(beside, w.write, "Content-Type", "application/json")...)
		limited.want(200, "POST", "/_electric/entities/demo/one/tags/a", `{"value":"b"}`, append(beside, w.write)...)
		limited.want(200, "GET", "/demo/one/main?offset=-1", "", append(beside, w.write)...)
	}
	limited.want(200, "POST", "/_electric/wake-callbacks/"+w.consumer, `{"done":true}`, append(beside, w.claim)...)
}

func TestWhoWaitsIsAskedAgainWhenNewsCome(t *testing.T) {
	t.Parallel()
	g := guard(t, func(o *server.Options) { o.LongPoll = patience })
	w := g.newWorld()
	id, reader := g.key(w.tenant, "user:owner", api.RoleRunner)
	taken := func() float64 { return counterValue(t, g, "wakelatch_api_key_checks_total", "valid") }
	before := taken()
	waits := map[string]chan reply{}
	for _, path := range []string{
		"/v1/stream/plain/a?live=long-poll&offset=now", "/v1/stream/plain/a?live=sse&offset=now",
		"/runners/r3/wake?live=long-poll&offset=-1", "/_electric/entities/demo/one?live=long-poll&version=99",
	} {
		answered := make(chan reply, 1)
		waits[path] = answered
		go func() { answered <- g.do("GET", path, "", "Authorization", "Bearer "+reader) }()
	}
	require.Eventually(t, func() bool { return taken() == before+4 }, patience, time.Millisecond, "all of them are let in")
	_, err := apikey.NewManager(g.pool).Revoke(t.Context(), id, "test", "test")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return g.do("GET", "/_electric/runners", "", "Authorization", "Bearer "+reader).status == http.StatusUnauthorized
	}, patience, 10*time.Millisecond)

	g.want(204, "POST", "/v1/stream/plain/a", `[{"secret":1}]`, append(w.bearer("client"), "Content-Type", "application/json")...)
	require.Equal(t, http.StatusUnauthorized, (<-waits["/v1/stream/plain/a?live=long-poll&offset=now"]).status)
	require.NotContains(t, (<-waits["/v1/stream/plain/a?live=sse&offset=now"]).body, "secret")
	g.want(200, "PUT", "/_electric/entities/demo/two/dispatch-policy", `{"dispatch_policy":{"targets":[{"type":"runner","runnerId":"r3"}]},"reason":"test"}`, w.bearer("admin")...)
	require.Equal(t, http.StatusServiceUnavailable, (<-waits["/runners/r3/wake?live=long-poll&offset=-1"]).status)
	_, err = g.pool.Exec(t.Context(), "UPDATE wakelatch.entities SET version = 100 WHERE tenant_id = $1", w.tenant)
	require.NoError(t, err)
	g.want(200, "POST", "/_electric/entities/demo/one/signal", `{"signal":"SIGSTOP"}`, w.bearer("client")...)
	require.Equal(t, http.StatusUnauthorized, (<-waits["/_electric/entities/demo/one?live=long-poll&version=99"]).status)
}

// counterValue is a counter of the node with this one label's value.
func counterValue(t *testing.T, g *guarded, name, label string) float64 {
	t.Helper()
	families, err := g.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no counter %s", name)
	return 0
}
