package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/doctor"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// one is entity /demo/one of runner r1, whose work is pending; r1 is enabled and never heard of.
const one = `
INSERT INTO wakelatch.runners (tenant_id, id, owner_principal, label, kind, wake_stream) VALUES ('default', 'r1', 'p', 'l', 'k', 'runners/r1/wake');
INSERT INTO wakelatch.entities (tenant_id, url, type, dispatch_runner_id, created_by, spawn_txid) VALUES ('default', '/demo/one', 'demo', 'r1', 'p', 't');
INSERT INTO wakelatch.entity_dispatch_state (tenant_id, entity_url, generation, last_outside_seq, next_attempt_at)
	VALUES ('default', '/demo/one', 1, 10, statement_timestamp() + interval '1 hour');`

// claimed puts it under claim w_1.
const claimed = `
INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
	VALUES ('default', 'w_1', 1, '/demo/one', 'demo/one/main', 'r1', 'idle', 0);
INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at) VALUES ('default', 'w_1', 1, statement_timestamp() + interval '1 hour');
UPDATE wakelatch.entities SET status = 'running';
UPDATE wakelatch.entity_dispatch_state SET active_consumer_id = 'w_1', active_runner_id = 'r1', active_epoch = 1, active_claimed_at = statement_timestamp();`

func TestNobodySweeps(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	o := doctor.Options{DatabaseURL: d.DSN}
	change(t, d, `UPDATE wakelatch.sweep_state SET last_sweep_at = statement_timestamp()`)
	require.Equal(t, doctor.OK, examine(t, "sweep", o).Status)
	change(t, d, `UPDATE wakelatch.sweep_state SET last_sweep_at = statement_timestamp() - interval '1 minute'`)
	f := examine(t, "sweep", o)
	require.Equal(t, doctor.Warn, f.Status, "no node is there to sweep")
	require.Equal(t, []string{"wakelatch serve"}, f.Commands)
	likeANode(t, d)
	f = examine(t, "sweep", o)
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "1 node connected, and no sweep for 1m0")
}

func TestClaimsThatShouldBeOver(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	o := doctor.Options{DatabaseURL: d.DSN}
	change(t, d, one+claimed)
	require.Equal(t, doctor.OK, examine(t, "releases", o).Status)
	for says, sql := range map[string]string{
		"is past its lease":        `UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() - interval '11 seconds'`,
		"is done and not released": `UPDATE wakelatch.consumer_claims SET done_at = statement_timestamp() - interval '11 seconds', done_outcome = 'succeeded'`,
	} {
		change(t, d, sql)
		f := examine(t, "releases", o)
		require.Equal(t, doctor.Fail, f.Status)
		require.Contains(t, f.Rows[0], says)
		require.Equal(t, []string{"wakelatch claims release w_1 1 --reason WHY"}, f.Commands)
		change(t, d, `UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp() + interval '1 hour'`)
		change(t, d, `UPDATE wakelatch.consumer_claims SET done_at = NULL, done_outcome = NULL`)
	}
}

func TestParkedEntities(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	o := doctor.Options{DatabaseURL: d.DSN}
	change(t, d, one)
	require.Equal(t, doctor.OK, examine(t, "parked", o).Status)
	change(t, d, `UPDATE wakelatch.entity_dispatch_state SET parked_reason = 'ten in a row', next_attempt_at = NULL`)
	f := examine(t, "parked", o)
	require.Equal(t, doctor.Warn, f.Status)
	require.Equal(t, []string{"tenant default, /demo/one: ten in a row"}, f.Rows)
	require.Equal(t, []string{"wakelatch entities unpark /demo/one --reason WHY"}, f.Commands)
	require.Equal(t, doctor.OK, examine(t, "runners", o).Status, "what is parked waits for no runner")
}

func TestRunnersThatWorkWaitsFor(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	o := doctor.Options{DatabaseURL: d.DSN}
	change(t, d, one)
	for _, tc := range []struct{ sql, says, command string }{
		{`SELECT 1`, "was never heard of", "wakelatch why /demo/one"},
		{`INSERT INTO wakelatch.runner_diagnostics (tenant_id, runner_id, lease_expires_at) VALUES ('default', 'r1', '2026-01-01')`, "is offline", "wakelatch why /demo/one"},
		{`UPDATE wakelatch.runners SET admin_status = 'disabled'`, "is disabled", "wakelatch runners enable r1 --reason WHY"},
		{`UPDATE wakelatch.runners SET admin_status = 'draining'`, "is draining", "wakelatch runners enable r1 --reason WHY"},
		{`DELETE FROM wakelatch.runners`, "is not registered", "wakelatch why /demo/one"},
	} {
		change(t, d, tc.sql)
		f := examine(t, "runners", o)
		require.Equal(t, doctor.Warn, f.Status, tc.says)
		require.Equal(t, []string{"tenant default, runner r1 " + tc.says + ", waited for by 1 entity, such as /demo/one"}, f.Rows)
		require.Equal(t, []string{tc.command}, f.Commands)
	}
	change(t, d, `UPDATE wakelatch.entity_dispatch_state SET acked_seq = last_outside_seq`)
	require.Equal(t, doctor.OK, examine(t, "runners", o).Status, "nothing waits for it")
}

func TestARunnerThatIsThere(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	change(t, d, one)
	change(t, d, `INSERT INTO wakelatch.runner_diagnostics (tenant_id, runner_id, lease_expires_at) VALUES ('default', 'r1', statement_timestamp() + interval '1 minute')`)
	require.Equal(t, doctor.OK, examine(t, "runners", doctor.Options{DatabaseURL: d.DSN}).Status)
}

func TestAContradictionIsListedWithItsCommand(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	o := doctor.Options{DatabaseURL: d.DSN}
	change(t, d, one+claimed)
	require.Equal(t, doctor.OK, examine(t, "consistency", o).Status)
	change(t, d, `DELETE FROM wakelatch.claim_leases; UPDATE wakelatch.entities SET status = 'idle'`)
	f := examine(t, "consistency", o)
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "2 rows contradict each other")
	require.Contains(t, f.Rows, "I4 tenant default, /demo/one: active claim w_1 epoch 1 has no lease")
	require.Contains(t, f.Rows, "I5 tenant default, /demo/one: active claim while idle")
	require.Equal(t, []string{"wakelatch mend default /demo/one --reason WHY"}, f.Commands, "one command mends both")
}
