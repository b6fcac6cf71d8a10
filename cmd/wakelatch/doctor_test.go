package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/doctor"
)

// finding runs the doctor and returns one of its findings.
func (i *incident) finding(check string) doctor.Finding {
	i.t.Helper()
	_, stdout, _ := i.says("doctor --json")
	var answer struct {
		OK     bool             `json:"ok"`
		Checks []doctor.Finding `json:"checks"`
	}
	require.NoError(i.t, json.Unmarshal([]byte(stdout), &answer), stdout)
	for _, f := range answer.Checks {
		if f.Check == check {
			return f
		}
	}
	require.Fail(i.t, "there is no such check", check)
	return doctor.Finding{}
}

// obeys runs the commands that the doctor printed for a check, and waits until it finds nothing there.
func (i *incident) obeys(check string) {
	i.t.Helper()
	f := i.finding(check)
	require.NotEqual(i.t, doctor.OK, f.Status, "nothing is wrong with %s", check)
	require.NotEmpty(i.t, f.Commands, f.Summary)
	for _, command := range f.Commands {
		code, _, stderr := i.says(strings.TrimPrefix(command, "wakelatch "))
		require.Equal(i.t, exitOK, code, "%s: %s", command, stderr)
	}
	i.waits(check)
}

// waits until the doctor finds nothing wrong.
func (i *incident) waits(check string) {
	i.t.Helper()
	var last doctor.Finding
	require.Eventually(i.t, func() bool {
		last = i.finding(check)
		return last.Status == doctor.OK
	}, patience, tick, "still wrong: %+v", &last)
}

// Of every contradiction that the consistency query knows: the doctor shows it, the command it prints mends it, and
// the entity's message is still given to a runner.
func TestEveryContradictionIsMendedByItsCommand(t *testing.T) {
	t.Parallel()
	const second = `DROP INDEX wakelatch.consumer_claims_one_active;
		INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
		VALUES ('default', 'w_second', 1000, '/demo/one', 'demo/one/main', 'r1', 'idle', 0)`
	for _, tc := range []struct{ name, sql, says, entity string }{
		{"I1 two active claims", second, "I1 tenant default, /demo/one: 2 active claims", "one"},
		{
			"I2 an epoch above the generation", `UPDATE wakelatch.entity_dispatch_state SET generation = 0, active_consumer_id = NULL, active_runner_id = NULL,
			active_epoch = NULL, active_claimed_at = NULL WHERE entity_url = '/demo/one'; UPDATE wakelatch.entities SET status = 'paused' WHERE url = '/demo/one'`,
			"I2 tenant default, /demo/one", "",
		},
		{"I4 pointing at an ended claim", `UPDATE wakelatch.consumer_claims SET status = 'released', released_at = now(), release_cause = 'done',
			released_by = 'hand', entity_cleared = false`, "which is not active", "one"},
		{"I4 pointed at by nothing", `UPDATE wakelatch.entity_dispatch_state SET active_consumer_id = NULL, active_runner_id = NULL,
			active_epoch = NULL, active_claimed_at = NULL WHERE entity_url = '/demo/one'`, "is pointed at by nothing", "one"},
		{"I4 without a dispatch row", `DELETE FROM wakelatch.entity_dispatch_state WHERE entity_url = '/demo/one'`, "is pointed at by nothing", "one"},
		{"I4 without a lease", `DELETE FROM wakelatch.claim_leases`, "has no lease", "one"},
		{"I5 running without a claim", `UPDATE wakelatch.entities SET status = 'running' WHERE url = '/demo/two'`, "running without an active claim", "two"},
		{"I5 idle under a claim", `UPDATE wakelatch.entities SET status = 'idle' WHERE url = '/demo/one'`, "active claim while idle", "one"},
		{"I5 killed under a claim", `UPDATE wakelatch.entities SET status = 'killed' WHERE url = '/demo/one'`, "active claim while killed", ""},
		{
			"I5 a claim of no entity", `DELETE FROM wakelatch.entity_dispatch_state WHERE entity_url = '/demo/one'; DELETE FROM wakelatch.entities WHERE url = '/demo/one'`,
			"is pointed at by nothing", "",
		},
		{
			"I8 work that nobody wakes", `UPDATE wakelatch.runners SET updated_at = now() - interval '1 minute'; UPDATE wakelatch.entity_dispatch_state
			SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL, next_attempt_at = NULL WHERE entity_url = '/demo/two'`,
			"pending work, no claim and no wake out", "two",
		},
		{"I8 a wake that is not announced again", `UPDATE wakelatch.runners SET updated_at = now() - interval '1 minute'; UPDATE wakelatch.entity_dispatch_state
			SET next_attempt_at = NULL WHERE entity_url = '/demo/two'`, "was not appended again when its time came", "two"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			i := newIncident(t)
			require.Equal(t, doctor.OK, i.finding("consistency").Status)
			i.exec(`UPDATE wakelatch.claim_leases SET expires_at = now() + interval '1 hour'`) // its end is not what mends
			i.exec(tc.sql)
			f := i.finding("consistency")
			require.Equal(t, doctor.Fail, f.Status)
			require.Contains(t, strings.Join(f.Rows, "\n"), tc.says)
			i.obeys("consistency")
			require.Equal(t, "1", i.one(`SELECT count(*)::text FROM wakelatch.actions WHERE action = 'mended' AND reason = 'WHY' AND actor LIKE 'operator:%'`))
			if tc.entity != "" {
				i.isHandled(tc.entity)
			}
			require.Equal(t, doctor.OK, i.finding("consistency").Status)
		})
	}
}

// isHandled lets whatever claim the entity is under end, and waits until its message is out again.
func (i *incident) isHandled(id string) {
	i.t.Helper()
	i.exec(`UPDATE wakelatch.claim_leases SET expires_at = statement_timestamp()`)
	require.Eventually(i.t, func() bool {
		return i.one(`SELECT coalesce(outstanding_runner_id, '') FROM wakelatch.entity_dispatch_state WHERE entity_url = $1`, "/demo/"+id) == "r1"
	}, patience, tick, "the message of %s is lost", id)
	generation := i.one(`SELECT generation::text FROM wakelatch.entity_dispatch_state WHERE entity_url = $1`, "/demo/"+id)
	i.claim(id, json.Number(generation))
}

func TestMendLeavesAloneWhatAgrees(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	const state = `SELECT (SELECT jsonb_agg(to_jsonb(d) ORDER BY entity_url) FROM wakelatch.entity_dispatch_state d)::text
		|| (SELECT jsonb_agg(to_jsonb(c)) FROM wakelatch.consumer_claims c)::text || (SELECT jsonb_agg(to_jsonb(e) ORDER BY url) FROM wakelatch.entities e)::text
		|| (SELECT jsonb_agg(to_jsonb(l)) FROM wakelatch.claim_leases l)::text || (SELECT count(*) FROM wakelatch.actions)::text`
	before := i.one(state)
	require.Contains(t, i.does("mend default /demo/one --reason look"), "nothing was changed")
	require.Equal(t, before, i.one(state))

	code, _, stderr := i.says("mend default /demo/three --reason look")
	require.Equal(t, exitMissing, code)
	require.Contains(t, stderr, "/demo/three")
	code, _, stderr = i.says("mend default /demo/one")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "--reason")
	code, _, _ = i.says("mend /demo/one --reason x")
	require.Equal(t, exitUsage, code)
}

func TestTheDoctorsOtherCommandsMendToo(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	i.exec(`UPDATE wakelatch.entity_dispatch_state SET parked_reason = 'ten in a row', failures = 10, outstanding_wake_id = NULL,
		outstanding_runner_id = NULL, outstanding_since = NULL, next_attempt_at = NULL WHERE entity_url = '/demo/two'`)
	i.obeys("parked")
	i.does("runners disable r1 --reason 'rack is hot'")
	i.call(200, "POST", "/_electric/runners/r1/heartbeat", `{"lease_ms":60000}`)
	i.obeys("runners")
}

func TestTheDoctorsOutputForPeople(t *testing.T) {
	t.Parallel()
	i := newIncident(t)
	i.exec(`UPDATE wakelatch.entities SET status = 'idle' WHERE url = '/demo/one'`)
	code, stdout, stderr := i.says("doctor --url " + i.url)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "checks failed")
	for _, pattern := range []string{
		`(?m)^ok +database +Postgres \d+`, `(?m)^ok +node +http\S+ serves`, `(?m)^FAIL +consistency +1 rows contradict`,
		`(?m)^ +I5 tenant default, /demo/one: active claim while idle$`, `(?m)^ +→ wakelatch mend default /demo/one --reason WHY$`,
		`(?m)^ok +listener +a notification came back in`, `(?m)^warn +token key`,
	} {
		require.Regexp(t, pattern, stdout)
	}
	for line := range strings.Lines(stdout) {
		require.LessOrEqual(t, len([]rune(line)), 121, line)
	}
	code, _, _ = i.says("doctor here")
	require.Equal(t, exitUsage, code)
}
