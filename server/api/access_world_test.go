package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/server/openapitest"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// guarded is a node that asks for keys.
type guarded struct {
	*site
	node    *server.Server
	pool    *pgxpool.Pool
	dsn     string
	tenants atomic.Int64
}

func guard(t *testing.T, change ...func(*server.Options)) *guarded {
	t.Helper()
	d := dbtest.New(t)
	return guardOn(t, &guarded{dsn: d.DSN, pool: d.Pool}, change...)
}

// guardOn is another node on the database of the first.
func guardOn(t *testing.T, first *guarded, change ...func(*server.Options)) *guarded {
	t.Helper()
	log := &lines{out: t.Output()}
	o := server.Options{
		DatabaseURL: first.dsn, PoolSize: 8, LongPoll: 50 * time.Millisecond, Lease: time.Hour,
		Access: server.Access{Auth: server.AuthKeys, MetricsListen: "127.0.0.1:0"},
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	s, err := server.New(o)
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &guarded{
		site: &site{t: t, url: s.URL(), registry: s.Registry(), log: log, http: openapitest.Client(t)},
		node: s, pool: first.pool, dsn: first.dsn,
	}
}

// key makes an API key.
func (g *guarded) key(tenant, principal string, role api.Role, change ...func(*apikey.CreateRequest)) (id, text string) {
	g.t.Helper()
	request := apikey.CreateRequest{Tenant: tenant, Principal: principal, Role: role, By: "test"}
	for _, f := range change {
		f(&request)
	}
	made, text, err := apikey.NewManager(g.pool).Create(g.t.Context(), request)
	require.NoError(g.t, err)
	return made.ID, text
}

// world is a tenant in which every route can succeed: runners r1 and r2 of user:owner, /demo/one and /demo/three with
// confirmed claims, /demo/two with a wake that nobody claimed, and a stream of nobody's.
type world struct {
	*guarded
	tenant            string
	keys              map[string]string
	consumer          string
	claim, write      string // the tokens of /demo/one's claim
	other, otherWrite string // those of /demo/three's
	wake              string // the event of /demo/two
}

func (g *guarded) newWorld() *world {
	g.t.Helper()
	w := g.emptyWorld()
	runner := w.bearer("runner")
	for _, id := range []string{"r1", "r2"} {
		g.want(201, "POST", "/_electric/runners", `{"id":"`+id+`"}`, runner...)
	}
	g.want(201, "POST", "/_electric/entity-types",
		`{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`, runner...)
	g.want(201, "PUT", "/v1/stream/plain/a", "", append(w.bearer("client"), "Content-Type", "application/json")...)
	events := map[string]string{}
	for _, id := range []string{"one", "two", "three"} {
		g.want(201, "PUT", "/_electric/entities/demo/"+id, `{"initialMessage":"hello","tags":{"a":"b"}}`, w.bearer("client")...)
	}
	var all []json.RawMessage
	require.NoError(g.t, json.Unmarshal([]byte(g.do("GET", "/runners/r1/wake?offset=-1", "", runner...).body), &all))
	for _, event := range all {
		var e struct {
			Stream string `json:"stream"`
		}
		require.NoError(g.t, json.Unmarshal(event, &e))
		events[strings.Split(e.Stream, "/")[1]] = string(event)
	}
	w.wake = events["two"]
	w.consumer, w.claim, w.write = w.hold(events["one"])
	_, w.other, w.otherWrite = w.hold(events["three"])
	return w
}

// emptyWorld is a tenant that has keys and a runner r3 to move entities to, and nothing else.
func (g *guarded) emptyWorld() *world {
	g.t.Helper()
	w := &world{guarded: g, tenant: fmt.Sprintf("tenant-%d", g.tenants.Add(1)), keys: map[string]string{}}
	for _, role := range apikey.Roles() {
		_, w.keys[string(role)] = g.key(w.tenant, "user:owner", role)
		_, w.keys["stranger "+string(role)] = g.key(w.tenant, "user:stranger", role)
	}
	g.want(201, "POST", "/_electric/runners", `{"id":"r3"}`, w.bearer("runner")...)
	return w
}

func (w *world) bearer(key string) []string {
	require.NotEmpty(w.t, w.keys[key], key)
	return []string{"Authorization", "Bearer " + w.keys[key]}
}

// hold claims and confirms a wake.
func (w *world) hold(event string) (consumer, claimToken, writeToken string) {
	w.t.Helper()
	n := w.want(200, "POST", "/_electric/runners/r1/claim", event, w.bearer("runner")...)
	consumer, claimToken = n["consumerId"].(string), n["claimToken"].(string)
	confirmed := w.want(200, "POST", "/_electric/wake-callbacks/"+consumer, `{"epoch":1,"wakeId":"`+consumer+`"}`, "Electric-Claim-Token", claimToken)
	return consumer, claimToken, confirmed["writeToken"].(string)
}

// tokenIn is the claim in an answer to a claim request; both are "" in any other.
func tokenIn(r reply) (consumer, token string) {
	var n struct {
		Consumer string `json:"consumerId"`
		Token    string `json:"claimToken"`
	}
	_ = json.Unmarshal([]byte(r.body), &n)
	return n.Consumer, n.Token
}
