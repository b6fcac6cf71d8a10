package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/doctor"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestJobsThatGoNowhere(t *testing.T) {
	t.Parallel()
	const job = `INSERT INTO public.river_job (kind, queue, args, max_attempts, state, scheduled_at, attempted_at, finalized_at, errors) VALUES ('x', 'release', '{}', 5, `
	const failed = `ARRAY['{"at": "2026-01-01T00:00:00Z", "attempt": 1, "error": "the rack burns", "trace": ""}'::jsonb]`
	for _, tc := range []struct {
		name, sql string
		nodes     bool
		status    doctor.Status
		says, row string
	}{
		{name: "fresh", sql: job + `'available', now(), NULL, NULL, NULL)`, nodes: true, status: doctor.Warn, says: "no leader"},
		{
			name: "waiting", sql: job + `'available', now() - interval '1 minute', NULL, NULL, NULL)`, nodes: true, status: doctor.Fail,
			says: "nobody takes them", row: "queue release: 1 available, the oldest for 60 s",
		},
		{name: "waiting without nodes", sql: job + `'available', now() - interval '1 minute', NULL, NULL, NULL)`, status: doctor.Warn, says: "no node is connected"},
		{
			name: "running for ever", sql: job + `'running', now(), now() - interval '5 minutes', NULL, NULL)`, nodes: true, status: doctor.Fail,
			says: "longer than they may", row: "queue release: 1 running, the oldest for 300 s",
		},
		{
			name: "failing", sql: job + `'retryable', now() + interval '1 minute', now(), NULL, ` + failed + `)`, nodes: true, status: doctor.Warn,
			says: "are tried again", row: "last error: the rack burns",
		},
		{
			name: "failed", sql: job + `'discarded', now(), now(), now(), ` + failed + `)`, nodes: true, status: doctor.Warn,
			says: "failed for good", row: "last error: the rack burns",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.New(t)
			require.Equal(t, doctor.OK, examine(t, "jobs", doctor.Options{DatabaseURL: d.DSN}).Status)
			change(t, d, tc.sql)
			if tc.nodes {
				likeANode(t, d)
			}
			f := examine(t, "jobs", doctor.Options{DatabaseURL: d.DSN})
			require.Equal(t, tc.status, f.Status)
			require.Contains(t, f.Summary, tc.says)
			if tc.row != "" {
				require.Len(t, f.Rows, 1)
				require.Contains(t, f.Rows[0], tc.row)
			}
		})
	}
}
