package server_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/migrations"
)

func TestAWakeGoesThroughTwoNodes(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	a, b := start(t, d), start(t, d)
	spawn(t, a)

	wake := must(t, b, 200, "GET", "/runners/r1/wake?offset=-1", "")
	event := strings.Trim(string(wake.body), "[]")
	claimed := must(t, a, 200, "POST", "/_electric/runners/r1/claim", event)
	consumer, claimToken := claimed.field(t, "consumerId"), claimed.field(t, "claimToken")
	require.Equal(t, a.URL()+"/_electric/wake-callbacks/"+consumer, claimed.field(t, "callback"))

	callback := "/_electric/wake-callbacks/" + consumer
	confirmed := must(t, b, 200, "POST", callback, `{"epoch":1,"wakeId":"`+consumer+`"}`, "Electric-Claim-Token", claimToken)
	writeToken := confirmed.field(t, "writeToken")
	must(t, a, 204, "POST", "/demo/one/main", `[{"a":1}]`, "Electric-Claim-Token", writeToken)
	must(t, b, 200, "POST", callback, `{"epoch":1}`, "Electric-Claim-Token", claimToken)
	must(t, b, 200, "POST", callback, `{"done":true}`, "Authorization", "Bearer "+claimToken)
	for _, node := range []*server.Server{a, b} {
		late := must(t, node, 401, "POST", "/demo/one/main", `[{"a":2}]`, "Electric-Claim-Token", writeToken)
		require.Contains(t, string(late.body), "Invalid write token")
	}
	require.Eventually(t, func() bool {
		return must(t, a, 200, "GET", "/_electric/claims/"+consumer+"/1", "").field(t, "status") == "released"
	}, patience, tick)
}

func TestNodesThatStartTogetherAgreeOnTheKey(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	nodes := make([]*server.Server, 4)
	var starting errgroup.Group
	for i := range nodes {
		s, err := server.New(server.Options{DatabaseURL: d.DSN, PoolSize: 3})
		require.NoError(t, err)
		nodes[i] = s
		t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
		starting.Go(func() error { return s.Start(t.Context()) })
	}
	require.NoError(t, starting.Wait())

	spawn(t, nodes[0])
	event := strings.Trim(string(must(t, nodes[1], 200, "GET", "/runners/r1/wake?offset=-1", "").body), "[]")
	claimed := must(t, nodes[2], 200, "POST", "/_electric/runners/r1/claim", event)
	for _, node := range nodes {
		must(t, node, 200, "POST", "/_electric/wake-callbacks/"+claimed.field(t, "consumerId"), `{}`,
			"Electric-Claim-Token", claimed.field(t, "claimToken"))
	}
}

func TestUnmigratedSchemaIsRefusedWithTheCommand(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	_, err := d.Pool.Exec(t.Context(), "DROP TABLE public.wakelatch_schema_version")
	require.NoError(t, err)
	s, err := server.New(server.Options{DatabaseURL: d.DSN})
	require.NoError(t, err)
	err = s.Start(t.Context())
	require.ErrorIs(t, err, migrations.ErrPending)
	require.ErrorContains(t, err, "wakelatch migrate up")
}

func TestTakenAddressIsNamed(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	other, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	s, err := server.New(server.Options{DatabaseURL: dbtest.New(t).DSN, Listen: other.Addr().String()})
	require.NoError(t, err)
	err = s.Start(t.Context())
	require.ErrorIs(t, err, server.ErrAddressInUse)
	require.ErrorContains(t, err, other.Addr().String())
}

// A URL may say how large a pool it wants. That is for the pool, and no setting of a session: a connection that
// passed it on would be refused, and the listener with it.
func TestDatabaseURLMaySetThePool(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	d.DSN += "&pool_max_conns=9"
	must(t, start(t, d), 200, "GET", "/readyz", "")
}

func TestBadOptionsAreReportedTogether(t *testing.T) {
	_, err := server.New(server.Options{PublicURL: "nowhere", Lease: -1})
	require.ErrorContains(t, err, "no database url")
	require.ErrorContains(t, err, `public url "nowhere"`)
	require.ErrorContains(t, err, "negative")
}

func TestANodeLivesOnce(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	s := start(t, d)
	require.ErrorContains(t, s.Start(t.Context()), "started or stopped before")
	must(t, s, 200, "GET", "/healthz", "")

	never, err := server.New(server.Options{DatabaseURL: d.DSN})
	require.NoError(t, err)
	require.NoError(t, never.Stop(t.Context()))
	require.ErrorContains(t, never.Start(t.Context()), "started or stopped before")
}

func TestAPartThatEndsBringsTheNodeDown(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.New(t))
	cause := errors.New("a loop that ended")
	s.Fail(t.Context(), cause)
	<-s.Done()
	require.ErrorIs(t, s.Err(), cause)
	require.Error(t, ask(t.Context(), t, s, "GET", "/healthz", "").err, "nobody answers any more")
}

func TestMetricsOfANodeAreWellNamed(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.New(t), func(o *server.Options) { o.GaugeInterval = tick })
	require.Eventually(t, func() bool {
		n, err := testutil.GatherAndCount(s.Registry(), "wakelatch_claims_oldest_active_age_seconds")
		return err == nil && n == 1
	}, patience, tick)
	problems, err := testutil.GatherAndLint(s.Registry())
	require.NoError(t, err)
	require.Empty(t, problems)
	require.Contains(t, string(must(t, s, 200, "GET", "/metrics", "").body), `wakelatch_pool_connections{state="max"} 5`)
}
