package claim_test

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
)

// fencingSQL are the blocks of SQL of docs/fencing.md: the line that holds a claim, and the function.
func fencingSQL(tb testing.TB) (line, function string) {
	tb.Helper()
	page, err := os.ReadFile("../../docs/fencing.md")
	require.NoError(tb, err)
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(tb, blocks, 2)
	return blocks[0][1], blocks[1][1]
}

// hold begins an agent's transaction and holds the claim in it, unless the claim is lost.
func (r *rig) hold(h held) (tx pgx.Tx, ok bool) {
	r.t.Helper()
	line, _ := fencingSQL(r.t)
	tx, err := r.db.Pool.Begin(r.t.Context())
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(r.t.Context())) })
	_, err = tx.Exec(r.t.Context(), `SET LOCAL idle_in_transaction_session_timeout = 0`)
	require.NoError(r.t, err)
	tag, err := tx.Exec(r.t.Context(), line, h.Tenant, h.Consumer, h.Epoch)
	require.NoError(r.t, err)
	return tx, tag.RowsAffected() == 1
}

// While an agent's transaction holds its claim, heartbeats and sends go on, and no sweep ends it, nor waits for
// it: the other claims of the sweep end as if it were not there.
func TestAHeldClaimIsNotExpired(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(3)
	mine := claims[1]
	tx, ok := r.hold(mine)
	require.True(t, ok)
	again, ok := r.hold(mine)
	require.True(t, ok, "two transactions of one claim hold it together")
	require.NoError(t, again.Rollback(t.Context()))
	r.expire(time.Second)
	began := time.Now()
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	_, err := r.claims.Heartbeat(t.Context(), mine.Key)
	require.NoError(t, err)
	_, err = r.entities.Send(t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: "/demo/e001", Principal: alice, Payload: json.RawMessage(`1`)})
	require.NoError(t, err)
	require.Less(t, time.Since(began), time.Second, "somebody waited for the agent")
	require.Equal(t, []string{"expired", "active", "expired"}, []string{r.status(claims[0]), r.status(mine), r.status(claims[2])})

	r.expire(time.Second)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, "expired", r.status(mine), "the turn after the agent's transaction ends it")
	_, ok = r.hold(mine)
	require.False(t, ok, "a lost claim is not held")
	r.dueNow()
	r.consistent()
}

// What must end the claim waits for the agent's transaction, which is committed before the next claim can be made.
func TestEndingAHeldClaimWaits(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, h held) error{
		"force": func(r *rig, h held) error {
			_, err := r.claims.ForceRelease(r.t.Context(), h.Key, alice, "it hangs")
			return err
		},
		"hand-back": func(r *rig, h held) error {
			_, err := r.claims.HandBack(r.t.Context(), h.Key, "")
			return err
		},
		"done": func(r *rig, h held) error {
			_, err := r.claims.Done(r.t.Context(), claim.DoneRequest{Key: h.Key})
			return err
		},
		"kill": func(r *rig, _ held) error {
			_, _, err := r.entities.Signal(r.t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: "/demo/e000", Principal: alice, Signal: entity.SIGKILL})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			h := r.claimed(1)[0]
			tx, ok := r.hold(h)
			require.True(t, ok)
			ended := make(chan error, 1)
			go func() { ended <- end(r, h) }()
			r.blocked(1)
			require.Zero(t, r.emitted(2))
			require.Equal(t, "active", r.status(h))
			require.NoError(t, tx.Commit(t.Context()))
			require.NoError(t, <-ended)
			_, ok = r.hold(h)
			require.False(t, ok)
		})
	}
}

// An agent that never ends its transaction keeps an operator waiting for the ride-out and no longer.
func TestForceReleaseOfAHeldClaimIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) { o.RideOut = 1500 * time.Millisecond })
	h := r.claimed(1)[0]
	_, ok := r.hold(h)
	require.True(t, ok)
	began := time.Now()
	_, err := r.claims.ForceRelease(t.Context(), h.Key, alice, "it hangs")
	require.Error(t, err)
	require.Less(t, time.Since(began), 5*time.Second)
	require.Equal(t, "active", r.status(h))
}

// An agent whose look at the claim waits for the transaction that ends it is told that the claim is lost, under
// every isolation level.
func TestAClaimThatEndsMeanwhileIsNotHeld(t *testing.T) {
	t.Parallel()
	line, _ := fencingSQL(t)
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			h := r.claimed(1)[0]
			ending, err := r.db.Pool.Begin(t.Context())
			require.NoError(t, err)
			_, err = ending.Exec(t.Context(), `UPDATE wakelatch.consumer_claims SET status = 'released',
				released_at = statement_timestamp(), release_cause = 'forced', released_by = 'admin', entity_cleared = true`)
			require.NoError(t, err)
			agent, err := r.db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
			require.NoError(t, err)
			defer func() { _ = agent.Rollback(context.WithoutCancel(t.Context())) }()
			type look struct {
				tag pgconn.CommandTag
				err error
			}
			looked := make(chan look, 1)
			go func() {
				tag, err := agent.Exec(t.Context(), line, h.Tenant, h.Consumer, h.Epoch)
				looked <- look{tag, err}
			}()
			r.blocked(1)
			require.NoError(t, ending.Commit(t.Context()))
			got := <-looked
			if level == pgx.ReadCommitted {
				require.NoError(t, got.err)
				require.Zero(t, got.tag.RowsAffected())
				return
			}
			refused := &pgconn.PgError{}
			require.ErrorAs(t, got.err, &refused)
			require.Equal(t, "40001", refused.Code)
		})
	}
}

// agent makes a role that may do what these grants say, and returns how it runs a statement in a transaction.
func (r *rig) agent(grants ...string) (run func(sql string, args ...any) (rows int64, err error)) {
	r.t.Helper()
	role := pgx.Identifier{"agent_" + r.db.Name}.Sanitize()
	r.exec(`CREATE ROLE ` + role)
	r.t.Cleanup(func() {
		_, err := r.db.Pool.Exec(context.WithoutCancel(r.t.Context()), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(r.t, err)
	})
	for _, grant := range grants {
		r.exec(`GRANT ` + grant + ` TO ` + role)
	}
	return func(sql string, args ...any) (rows int64, err error) {
		err = pgx.BeginFunc(r.t.Context(), r.db.Pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(r.t.Context(), `SET LOCAL ROLE `+role)
			require.NoError(r.t, err)
			tag, err := tx.Exec(r.t.Context(), sql, args...)
			rows = tag.RowsAffected()
			return err
		})
		return rows, err
	}
}

// The function holds a claim for a role that may do nothing else, and fails for a claim that is lost.
func TestHoldClaimFunction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, function := fencingSQL(t)
	r.exec(function)
	run := r.agent(`USAGE ON SCHEMA wakelatch`, `EXECUTE ON FUNCTION wakelatch.hold_claim`)
	h := r.claimed(1)[0]
	const hold = `SELECT wakelatch.hold_claim($1, $2, $3)`
	_, err := run(hold, h.Tenant, h.Consumer, h.Epoch)
	require.NoError(t, err)
	_, err = run(`SELECT 1 FROM wakelatch.consumer_claims`)
	require.ErrorContains(t, err, "permission denied")
	r.force(h, "enough")
	_, err = run(hold, h.Tenant, h.Consumer, h.Epoch)
	require.ErrorContains(t, err, "is lost")
}

// The grants that the page names are enough for the line, and for nothing that decides a claim.
func TestHoldClaimGrants(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	line, _ := fencingSQL(t)
	run := r.agent(`USAGE ON SCHEMA wakelatch`,
		`SELECT (tenant_id, consumer_id, epoch, status, done_at), UPDATE (entity_status) ON wakelatch.consumer_claims`)
	h := r.claimed(1)[0]
	rows, err := run(line, h.Tenant, h.Consumer, h.Epoch)
	require.NoError(t, err)
	require.EqualValues(t, 1, rows)
	_, err = run(`UPDATE wakelatch.consumer_claims SET done_at = NULL`)
	require.ErrorContains(t, err, "permission denied")
}
