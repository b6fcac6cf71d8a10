package inspect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/inspect"
)

type historyOf func(context.Context, inspect.HistoryRequest) ([]inspect.Event, string, error)

// pages reads a whole history and calls between after each page.
func pages(t *testing.T, read historyOf, subject string, limit int, between func()) []inspect.Event {
	t.Helper()
	request := inspect.HistoryRequest{Tenant: tenant, Subject: subject, Limit: limit}
	var all []inspect.Event
	for {
		page, next, err := read(t.Context(), request)
		require.NoError(t, err)
		all = append(all, page...)
		require.Less(t, len(all), 1000, "the pages do not end")
		if next == "" {
			return all
		}
		require.Len(t, page, limit)
		request.After = next
		between()
	}
}

func (r *rig) action(id, action, entity, runner, at string) {
	r.t.Helper()
	r.exec(`INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, runner_id, actor, reason, details, at)
		VALUES ($1, $2, $3, NULLIF($4, ''), NULLIF($5, ''), 'user:alice', 'because', '{"signal": "SIGSTOP"}', $6::text::timestamptz)`,
		tenant, id, action, entity, runner, at)
}

func TestHistoryMergesClaimsAndActions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claims("/demo/a", "r1", "released", 1, 3)
	r.action("a1", "signalled", "/demo/a", "", "2026-01-01 00:00:02.5+00")
	r.action("a2", "drained", "", "r1", "2026-01-01 00:00:02.6+00")
	r.action("a3", "spawned", "/demo/a", "", "2026-01-01 00:00:00+00")

	whats := func(events []inspect.Event) (list []string) {
		for _, e := range events {
			list = append(list, fmt.Sprintf("%s %s %d", e.Kind, e.What, e.Epoch))
		}
		return list
	}
	for _, limit := range []int{1, 2, 100} {
		require.Equal(t, []string{
			"claim released 3", "claim claimed 3", "entity signalled 0", "claim released 2", "claim claimed 2",
			"claim released 1", "claim claimed 1", "entity spawned 0",
		}, whats(pages(t, r.EntityHistory, "/demo/a", limit, func() {})))
		require.Equal(t, []string{
			"claim released 3", "claim claimed 3", "runner drained 0", "claim released 2", "claim claimed 2", "claim released 1", "claim claimed 1",
		}, whats(pages(t, r.RunnerHistory, "r1", limit, func() {})))
	}
	events := pages(t, r.EntityHistory, "/demo/a", 100, nil)
	require.Equal(t, "because", events[2].Reason)
	require.Equal(t, "user:alice", events[2].Actor)
	require.JSONEq(t, `{"signal": "SIGSTOP"}`, string(events[2].Details))
	require.Equal(t, "done", events[0].Cause)
}

func TestHistoryIsStableWhileItGrows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claims("/demo/a", "r1", "released", 1, 8)
	// Several events of one time, so that only the keys part them.
	r.exec(`UPDATE wakelatch.claim_events SET at = '2026-01-01' WHERE epoch > 3`)
	for i := range 5 {
		r.action(fmt.Sprintf("x%d", i), "signalled", "/demo/a", "r1", "2026-01-01 00:00:00+00")
	}
	for name, read := range map[string]historyOf{"/demo/a": r.EntityHistory, "r1": r.RunnerHistory} {
		grown := 0
		all := pages(t, read, name, 2, func() {
			grown++
			r.action(fmt.Sprintf("new %s %d", name, grown), "signalled", "/demo/a", "r1", "2026-03-01 00:00:00+00")
		})
		all = slices.DeleteFunc(all, func(e inspect.Event) bool { return e.At.Month() == 3 })
		require.Len(t, all, 8*2+5, "each is listed once")
		seen := map[string]bool{}
		for _, e := range all {
			seen[fmt.Sprint(e.Kind, e.What, e.ConsumerID, e.Epoch)] = true
		}
		require.Len(t, seen, 8*2+1)
	}
}

func TestHistoryOutlivesTheEntity(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.entity("/demo/one", "idle")
	page, _, err := r.EntityHistory(t.Context(), inspect.HistoryRequest{Tenant: tenant, Subject: "/demo/one"})
	require.NoError(t, err)
	require.Empty(t, page)
	r.action("a1", "entity_deleted", "/demo/one", "", "2026-01-01 00:00:00+00")
	r.exec(`DELETE FROM wakelatch.entities`)
	page, _, err = r.EntityHistory(t.Context(), inspect.HistoryRequest{Tenant: tenant, Subject: "/demo/one"})
	require.NoError(t, err)
	require.Len(t, page, 1)

	_, _, err = r.EntityHistory(t.Context(), inspect.HistoryRequest{Tenant: "other", Subject: "/demo/one"})
	require.ErrorIs(t, err, inspect.ErrNotFound)
	_, _, err = r.RunnerHistory(t.Context(), inspect.HistoryRequest{Tenant: tenant, Subject: "nobody"})
	require.ErrorIs(t, err, inspect.ErrNotFound)
	_, _, err = r.RunnerHistory(t.Context(), inspect.HistoryRequest{Tenant: tenant, Subject: "r1"})
	require.NoError(t, err)
}
