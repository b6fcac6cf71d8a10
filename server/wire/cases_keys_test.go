package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/apikey"
)

// guarded is a node that asks for keys, with the tenant default at work on it, and a key of each kind of caller.
type guarded struct {
	*node
	held                            *wake
	viewer, client, bob, other, old string
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{node: start(t, func(o *server.Options) {
		o.Access = server.Access{Auth: server.AuthKeys, MetricsListen: "127.0.0.1:0"}
	})}
	_, admin := g.newKey("default", "user:admin", apikey.Admin)
	_, g.viewer = g.newKey("default", "user:alice", apikey.Viewer)
	_, g.client = g.newKey("default", "user:alice", apikey.Client)
	_, g.bob = g.newKey("default", "user:bob", apikey.Runner)
	_, g.other = g.newKey("other", "user:admin", apikey.Admin)
	id, old := g.newKey("default", "user:admin", apikey.Admin)
	_, err := apikey.NewManager(g.pool).Revoke(t.Context(), id, "test", "test")
	require.NoError(t, err)
	g.old = old
	g.key = admin
	g.prepare()
	g.spawn("held")
	g.held = g.work("held", 1)
	g.must(201, "PUT", "/v1/stream/items", ``, "Content-Type", "application/json")
	g.key = ""
	return g
}

func (g *guarded) newKey(tenant, principal string, role apikey.Role) (id, text string) {
	g.t.Helper()
	made, text, err := apikey.NewManager(g.pool).Create(g.t.Context(), apikey.CreateRequest{
		Tenant: tenant, Principal: principal, Role: role, By: "test",
	})
	require.NoError(g.t, err)
	return made.ID, text
}

// guardedInput is a row of the table for a node that asks for keys.
type guardedInput struct {
	name  string
	build func(g *guarded) request
}

const guardedTitle = "With keys"

func guardedCases() []guardedInput {
	by := func(name string, key func(g *guarded) string, method, path, body string) guardedInput {
		return guardedInput{name, func(g *guarded) request {
			return request{method: method, path: path, body: body, header: []string{"Authorization", "Bearer " + key(g)}}
		}}
	}
	text := func(key string) func(*guarded) string { return func(*guarded) string { return key } }
	viewer := func(g *guarded) string { return g.viewer }
	client := func(g *guarded) string { return g.client }
	bob := func(g *guarded) string { return g.bob }
	other := func(g *guarded) string { return g.other }
	const entity, runner = "/_electric/entities/demo/held", "/_electric/runners/r1"
	return []guardedInput{
		{"no key", func(*guarded) request { return request{method: "GET", path: "/_electric/entities"} }},
		by("a key that is none", text("garbage"), "GET", "/_electric/entities", ``),
		by("a key that looks like one", text("wl_aaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "GET", "/_electric/entities", ``),
		by("a key with a wrong secret", func(g *guarded) string { return spoil(g.viewer) }, "GET", "/_electric/entities", ``),
		by("a key that was revoked", func(g *guarded) string { return g.old }, "GET", "/_electric/entities", ``),
		{"a key as another scheme than Bearer", func(g *guarded) request {
			return request{method: "GET", path: "/_electric/entities", header: []string{"Authorization", "Basic " + g.viewer}}
		}},
		by("a viewer who spawns", viewer, "PUT", "/_electric/entities/demo/new", ``),
		by("a client who registers a runner", client, "POST", "/_electric/runners", `{"id":"r9"}`),
		by("a runner who deletes an entity", bob, "DELETE", entity, `{"reason":"x"}`),
		by("a runner who registers for another", bob, "POST", "/_electric/runners", `{"id":"r9","owner_principal":"user:alice"}`),
		by("a runner who takes another's id", bob, "POST", "/_electric/runners", `{"id":"r1"}`),
		by("a heartbeat of another's runner", bob, "POST", runner+"/heartbeat", `{"lease_ms":1000}`),
		by("a claim for another's runner", bob, "POST", runner+"/claim", wakeEvent("held", 1)),
		by("draining another's runner", bob, "POST", runner+"/drain", `{"reason":"x"}`),
		by("another's wake stream", bob, "GET", "/runners/r1/wake?offset=-1", ``),
		{"a wake stream without a key", func(*guarded) request { return request{method: "GET", path: "/runners/r1/wake?offset=-1"} }},
		by("an entity of another tenant", other, "GET", entity, ``),
		by("a message to an entity of another tenant", other, "POST", entity+"/send", `{"payload":1}`),
		by("a signal to an entity of another tenant", other, "POST", entity+"/signal", `{"signal":"SIGKILL"}`),
		by("un-parking an entity of another tenant", other, "POST", entity+"/unpark", `{"reason":"x"}`),
		by("deleting an entity of another tenant", other, "DELETE", entity, `{"reason":"x"}`),
		by("the history of an entity of another tenant", other, "GET", entity+"/history", ``),
		by("an entity's stream of another tenant", other, "GET", "/demo/held/main?offset=-1", ``),
		by("a stream of another tenant", other, "GET", "/v1/stream/items?offset=-1", ``),
		by("a wake stream of another tenant", other, "GET", "/runners/r1/wake?offset=-1", ``),
		by("a runner of another tenant", other, "GET", runner, ``),
		by("the health of a runner of another tenant", other, "GET", runner+"/health", ``),
		by("disabling a runner of another tenant", other, "POST", runner+"/disable", ``),
		by("a claim for a runner of another tenant", other, "POST", runner+"/claim", wakeEvent("held", 1)),
		by("a type of another tenant", other, "GET", "/_electric/entity-types/demo", ``),
		{"a claim of another tenant", func(g *guarded) request {
			return request{method: "GET", path: "/_electric/claims/" + g.held.Consumer + "/1", header: []string{"Authorization", "Bearer " + g.other}}
		}},
		{"releasing a claim of another tenant", func(g *guarded) request {
			return request{
				method: "POST", path: "/_electric/claims/" + g.held.Consumer + "/1/release", body: `{"reason":"x"}`,
				header: []string{"Authorization", "Bearer " + g.other},
			}
		}},
		by("an append to an entity's stream with a key", client, "POST", "/demo/held/main", `[1]`),
		by("a tag with a key that may not write", viewer, "POST", entity+"/tags/color", `{"value":"red"}`),
		{"a callback with a key", func(g *guarded) request {
			return request{method: "POST", path: g.held.callback, body: `{"done":true}`, header: []string{"Authorization", "Bearer " + g.bob}}
		}},
	}
}
