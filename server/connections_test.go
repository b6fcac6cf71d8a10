package server_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// wholeWake takes the next wake of /demo/one from claim to release, in turns on the two nodes.
func wholeWake(t *testing.T, a, b *server.Server) {
	t.Helper()
	var wakes []string
	require.Eventually(t, func() bool {
		text := strings.Trim(string(must(t, b, 200, "GET", "/runners/r1/wake?offset=-1", "").body), "[]")
		wakes = strings.SplitAfter(text, "},")
		return text != ""
	}, patience, tick)
	claimed := must(t, a, 200, "POST", "/_electric/runners/r1/claim", strings.TrimSuffix(wakes[len(wakes)-1], ","))
	consumer, claimToken := claimed.field(t, "consumerId"), claimed.field(t, "claimToken")
	callback := "/_electric/wake-callbacks/" + consumer
	confirmed := must(t, b, 200, "POST", callback, `{"wakeId":"`+consumer+`"}`, "Electric-Claim-Token", claimToken)
	writeToken := confirmed.field(t, "writeToken")
	appended := ask(t.Context(), t, a, "POST", "/demo/one/main", `[{"a":1}]`, "Electric-Claim-Token", writeToken)
	require.NoError(t, appended.err)
	require.Contains(t, []int{200, 204}, appended.status, "%s", appended.body)
	must(t, b, 200, "POST", callback, `{}`, "Electric-Claim-Token", claimToken)
	tail := must(t, a, 200, "GET", "/demo/one/main?offset=now", "").header.Get("Stream-Next-Offset")
	must(t, b, 200, "POST", callback, `{"done":true,"acks":[{"path":"/demo/one/main","offset":"`+tail+`"}]}`, "Electric-Claim-Token", claimToken)
	must(t, a, 401, "POST", "/demo/one/main", `[{"a":2}]`, "Electric-Claim-Token", writeToken)
	require.Eventually(t, func() bool {
		return must(t, a, 200, "GET", "/_electric/entities/demo/one", "").field(t, "status") == "idle"
	}, patience, tick)
}

// What docs/operations.md says about the connections of a node is what Postgres counts of one that is busy.
func TestConnectionsOfANodeAreAsDocumented(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	const poolSize = 7
	s := start(t, d, func(o *server.Options) { o.PoolSize, o.NodeID = poolSize, "counted" })
	spawn(t, s)
	wholeWake(t, s, s)

	tx, err := d.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for _, statement := range []string{"SET LOCAL idle_in_transaction_session_timeout = 0", "LOCK TABLE wakelatch.entities IN ACCESS EXCLUSIVE MODE"} {
		_, err = tx.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	var waiting []<-chan answer
	for range 3 * poolSize {
		waiting = append(waiting, later(t, s, "GET", "/_electric/entities/demo/one", ""))
	}
	count := func(name string) (n int) {
		require.NoError(t, d.Pool.QueryRow(t.Context(),
			"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1", name).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return count("counted") == poolSize }, patience, tick, "the pool for requests fills up, and no more")
	require.Equal(t, 1, count("counted listener"))
	require.LessOrEqual(t, count("counted jobs"), 6)
	require.NoError(t, tx.Rollback(t.Context()))
	for _, one := range waiting {
		require.Equal(t, 200, (<-one).status)
	}
	require.LessOrEqual(t, count("counted jobs"), 6)

	text, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	require.Contains(t, string(text), "| `<node id>` | `--pool-size`, 20 |")
	require.Contains(t, string(text), "| `<node id> jobs` | 6 |")
	require.Contains(t, string(text), "| `<node id> listener` | 1 |")
}
