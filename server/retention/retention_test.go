package retention_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/retention"
)

// justBefore an age: near enough to its end that a wrong unit or sign shows, far enough that a slow test does not.
const justBefore = time.Minute

func TestClaimsGoWithTheirEventsAtTheirAge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ended("old", 3, keepClaims)
	r.ended("young", 2, keepClaims-justBefore)
	r.active("active", 1)
	r.turn()

	ids := `SELECT array_agg(DISTINCT consumer_id ORDER BY consumer_id) FROM wakelatch.`
	require.Equal(t, []string{"active1", "young1", "young2"}, value[[]string](r, ids+"consumer_claims"))
	require.Equal(t, []string{"active1", "young1", "young2"}, value[[]string](r, ids+"claim_events"))
	require.Equal(t, 15, value[int](r, "SELECT count(*) FROM wakelatch.claim_events"), "what is kept is kept whole")
	require.Equal(t, 3, r.removed("consumer_claims"))
	require.Equal(t, 15, r.removed("claim_events"))
}

func TestTheLastClaimOfAnEntityLeavesWhatItsDispatchRowSays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ended("old", 1, keepClaims)
	r.exec(`INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, generation, last_consumer_id, last_epoch, last_released_at,
		last_release_cause) VALUES ('default', '/demo/old1', 3, 'old1', 3, statement_timestamp() - interval '8 days', 'done')`)
	r.turn()
	require.Zero(t, value[int](r, "SELECT count(*) FROM wakelatch.consumer_claims"))
	require.Equal(t, "old1 3 done", value[string](r,
		"SELECT last_consumer_id || ' ' || last_epoch || ' ' || last_release_cause FROM wakelatch.entity_dispatch_state WHERE generation = 3"))
}

func TestActionsGoAtTheirAge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.actions("old", 3, keepHistory)
	r.actions("young", 2, keepHistory-justBefore)
	r.turn()
	require.Equal(t, []string{"young1", "young2"}, value[[]string](r, "SELECT array_agg(id ORDER BY id) FROM wakelatch.actions"))
	require.Equal(t, 3, r.removed("actions"))
}

func TestWakeEventsGoOnceTheyAreOldReadAndNotOutstanding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.reader("r1", "0000000000000040")
	r.wakes("r1", 3, keepWakes)            // 10, 20, 30: old and read
	r.wakes("r1", 1, keepWakes-justBefore) // 40: read, and young
	r.wakes("r1", 2, keepWakes)            // 50, 60: not read
	// The wake of e2 is still out; e3 has a newer one.
	r.exec(`INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, generation, outstanding_wake_id, outstanding_runner_id,
		outstanding_since) VALUES
		('default', '/demo/e2', 7, 'w2', 'r1', statement_timestamp() - interval '2 hours'),
		('default', '/demo/e3', 8, 'w3', 'r1', statement_timestamp()),
		('other', '/demo/e1', 7, 'w1', 'r1', statement_timestamp())`)
	r.turn()
	require.Equal(t, []int64{20, 40, 50, 60}, r.kept("r1"))
	require.Equal(t, 2, r.removed("stream_messages"))

	r.exec("UPDATE wakelatch.entity_dispatch_state SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL")
	r.turn()
	require.Equal(t, []int64{40, 50, 60}, r.kept("r1"))
}

func TestWakeEventsWaitForARunnerThatSaysNothingSensible(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, offset := range []string{"", "-1", "99999999999999999999", "20", "0000000000000000"} {
		id := fmt.Sprintf("silent%d", i)
		r.reader(id, offset)
		r.wakes(id, 2, keepWakes)
	}
	r.reader("r1", "0000000000000010")
	r.wakes("r1", 2, keepWakes)
	r.turn()
	require.Equal(t, 1, r.removed("stream_messages"))
	require.Equal(t, []int64{20}, r.kept("r1"))
}

func TestOtherStreamsAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.reader("r1", "0000000000000090")
	r.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, key, created_at)
		SELECT tenant, path, 10, '{"stream":"demo/e1/main","generation":7}', 'k', statement_timestamp() - interval '1 year'
		FROM (VALUES ('default', 'demo/one/main'), ('default', 'plain'), ('other', 'runners/r1/wake')) m (tenant, path)`)
	r.turn()
	require.Equal(t, 3, value[int](r, "SELECT count(*) FROM wakelatch.stream_messages"), "their keys live as long as they do")
}

func TestZeroKeepsForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *retention.Options) { o.Claims, o.History, o.Wakes = 0, 0, 0 })
	r.ended("old", 1, 10*keepClaims)
	r.actions("old", 1, 10*keepHistory)
	r.reader("r1", "0000000000000040")
	r.wakes("r1", 1, 10*keepWakes)
	r.turn()
	for _, table := range []string{"consumer_claims", "claim_events", "actions", "stream_messages"} {
		require.NotZero(t, value[int](r, "SELECT count(*) FROM wakelatch."+table), table)
	}
}

// many is more than two batches of anything, on more than two pages of runners.
func (r *rig) many() {
	r.t.Helper()
	r.ended("old", 1050, keepClaims)
	r.actions("old", 2500, keepHistory)
	for n := range 230 {
		r.reader(fmt.Sprintf("r%03d", n), "0000000000999999")
	}
	r.wakes("r000", 2500, keepWakes)
	r.wakes("r229", 10, keepWakes)
}

var manyRows = map[string]int{"consumer_claims": 1050, "claim_events": 5250, "actions": 2500, "stream_messages": 2510}

func TestBatchesAreSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.many()
	r.turn()
	for table, n := range manyRows {
		require.Zero(t, value[int](r, "SELECT count(*) FROM wakelatch."+table), table)
		require.Equal(t, n, r.removed(table), table)
	}
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	require.NotEmpty(t, r.seen.rows)
	for statement, most := range r.seen.rows {
		require.LessOrEqual(t, most, int64(1000), "rows of one statement: %s", statement)
	}
	require.GreaterOrEqual(t, r.seen.runs["DeleteConsumedWakes"], 5, "three pages of runners, the first in three batches")
	require.LessOrEqual(t, r.seen.runs["PickOldClaims"], 7)
}

func TestTwoNodesShareTheWork(t *testing.T) {
	t.Parallel()
	a := newRig(t)
	b := rigOn(t, a.db)
	a.many()
	var both sync.WaitGroup
	errs := make(chan error, 2)
	for _, r := range []*rig{a, b} {
		both.Go(func() { errs <- r.Turn(t.Context()) })
	}
	both.Wait()
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	// A turn leaves what the other node held just then.
	a.turn()
	for table, n := range manyRows {
		require.Equal(t, n, a.removed(table)+b.removed(table), "every row of %s is removed by one of them", table)
	}
}

func TestWhatSomebodyHoldsIsLeftToTheNextTurn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ended("old", 2, keepClaims)
	tx, err := r.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), "SELECT 1 FROM wakelatch.consumer_claims WHERE consumer_id = 'old1' FOR UPDATE")
	require.NoError(t, err)

	r.turn()
	require.Equal(t, "old1", value[string](r, "SELECT string_agg(consumer_id, ' ') FROM wakelatch.consumer_claims"))
	require.Equal(t, 5, value[int](r, "SELECT count(*) FROM wakelatch.claim_events"), "with all of its events")
	require.NoError(t, tx.Commit(t.Context()))
	r.turn()
	require.Zero(t, value[int](r, "SELECT count(*) FROM wakelatch.claim_events"))
}

func TestRunTakesTurnsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *retention.Options) { o.Interval = 5 * time.Millisecond })
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- r.Run(ctx) }()
	for turn := range 3 {
		r.actions(fmt.Sprintf("turn%d-", turn), 1, keepHistory)
		require.Eventually(t, func() bool {
			var left int
			err := r.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM wakelatch.actions").Scan(&left)
			return err == nil && left == 0
		}, 20*time.Second, 5*time.Millisecond)
	}
	stop()
	require.NoError(t, <-stopped)
}

func TestATableThatFailsDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ended("old", 1, keepClaims)
	r.actions("old", 1, keepHistory)
	tx, err := r.db.Pool.BeginTx(t.Context(), pgx.TxOptions{})
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), "LOCK TABLE wakelatch.consumer_claims IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	err = r.Turn(t.Context())
	require.ErrorContains(t, err, "remove claims that ended 168h0m0s ago")
	require.Equal(t, 1, r.removed("actions"))
}
