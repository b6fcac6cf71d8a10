package inspect_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/inspect"
)

// all reads every page and returns the claims' ids in order.
func (r *rig) all(request inspect.ClaimsRequest) []string {
	r.t.Helper()
	request.Tenant = tenant
	var ids []string
	for {
		page, next, err := r.Claims(r.t.Context(), request)
		require.NoError(r.t, err)
		require.LessOrEqual(r.t, len(page), max(request.Limit, 1))
		for _, c := range page {
			ids = append(ids, c.ConsumerID)
		}
		if next == "" {
			return ids
		}
		require.Less(r.t, len(ids), 1000, "the pages do not end")
		request.After = next
	}
}

func TestClaimsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claims("/demo/a", "r1", "released", 1, 7)
	r.claims("/demo/b", "r2", "expired", 11, 5)
	r.claims("/demo/c", "r1", "failed", 21, 3)
	r.exec(`UPDATE wakelatch.consumer_claims SET tenant_id = 'other' WHERE entity_url = '/demo/none'`)
	ids := func(runner string, from, to int) (list []string) {
		for i := from; i >= to; i-- {
			list = append(list, fmt.Sprintf("w_%s_%d", runner, i))
		}
		return list
	}
	c, b, a := ids("r1", 23, 21), ids("r2", 15, 11), ids("r1", 7, 1)
	for _, limit := range []int{1, 2, 3, 100} {
		require.Equal(t, slices.Concat(c, b, a), r.all(inspect.ClaimsRequest{Limit: limit}))
		require.Equal(t, slices.Concat(c, a), r.all(inspect.ClaimsRequest{Limit: limit, Runner: "r1"}))
		require.Equal(t, a, r.all(inspect.ClaimsRequest{Limit: limit, Status: "released"}))
		require.Equal(t, b, r.all(inspect.ClaimsRequest{Limit: limit, Status: "expired"}))
		require.Equal(t, c, r.all(inspect.ClaimsRequest{Limit: limit, Status: "failed", Runner: "r1"}))
		require.Equal(t, b, r.all(inspect.ClaimsRequest{Limit: limit, Entity: "demo/b"}))
		require.Empty(t, r.all(inspect.ClaimsRequest{Limit: limit, Entity: "/demo/b", Runner: "r1"}))
		require.Empty(t, r.all(inspect.ClaimsRequest{Limit: limit, Status: "active"}))
	}
}

func TestClaimsOfOneTimeAreEachListedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claims("/demo/a", "r1", "released", 1, 9)
	r.exec(`UPDATE wakelatch.consumer_claims SET claimed_at = '2026-02-01'`)
	r.exec(`UPDATE wakelatch.claim_events SET at = '2026-02-01'`)
	for _, runner := range []string{"", "r1"} {
		found := r.all(inspect.ClaimsRequest{Limit: 2, Runner: runner})
		require.Len(t, found, 9)
		slices.Sort(found)
		require.Len(t, slices.Compact(found), 9)
	}
}

func TestActiveClaimsShowTheirLease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.entity("/demo/one", "running")
	r.claimed("30 seconds")
	r.claims("/demo/two", "r1", "released", 1, 1)
	page, next, err := r.Claims(t.Context(), inspect.ClaimsRequest{Tenant: tenant, Status: "active"})
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, page, 1)
	require.Equal(t, "w_1", page[0].ConsumerID)
	require.InDelta(t, 30_000, *page[0].LeaseRemainingMS, 5_000)
	require.NotNil(t, page[0].LeaseExpiresAt)

	one, err := r.Claim(t.Context(), tenant, "w_1", 1)
	require.NoError(t, err)
	require.Equal(t, page[0].LeaseExpiresAt, one.LeaseExpiresAt)
	over, err := r.Claim(t.Context(), tenant, "w_r1_1", 1)
	require.NoError(t, err)
	require.Nil(t, over.LeaseRemainingMS)
	_, err = r.Claim(t.Context(), "other", "w_1", 1)
	require.ErrorIs(t, err, inspect.ErrNotFound)
	_, err = r.Claim(t.Context(), tenant, "w_1", 2)
	require.ErrorIs(t, err, inspect.ErrNotFound)
}

func TestAnotherTenantsClaimsAreNotListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claims("/demo/a", "r1", "expired", 1, 3)
	// Of the same names, and none that is asked for.
	r.exec(`INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, status,
			entity_status, start_seq, released_at, release_cause, released_by, entity_cleared)
		SELECT 'other', consumer_id, epoch, '/demo/b', 'demo/b/main', 'r2', 'released', 'idle', 0, now(), 'done', 'job', true
		FROM wakelatch.consumer_claims`)
	for _, request := range []inspect.ClaimsRequest{{}, {Runner: "r1"}, {Entity: "/demo/a"}, {Status: "expired"}, {Status: "active"}} {
		request.Tenant = "other"
		page, next, err := r.Claims(t.Context(), request)
		require.NoError(t, err)
		require.Empty(t, page)
		require.NotNil(t, page, "an empty list is a list")
		require.Empty(t, next)
	}
}

func TestWrongRequestsNameTheField(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for field, request := range map[string]inspect.ClaimsRequest{
		"status": {Status: "lost"}, "after": {After: "!"}, "runner": {Runner: "a\x00b"}, "entity": {Entity: "\xff"},
	} {
		_, _, err := r.Claims(t.Context(), request)
		var wrong *inspect.InvalidError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, field, wrong.Field)
	}
	for _, after := range []string{"e30", "eyJ0IjotMX0", "eyJ0Ijo5ZTk5fQ", "eyJ0IjoxLCJrIjoiXHUwMDAwIn0"} {
		_, _, err := r.EntityHistory(t.Context(), inspect.HistoryRequest{Tenant: tenant, Subject: "/demo/a", After: after})
		if after == "e30" { // an empty object is before everything
			require.ErrorIs(t, err, inspect.ErrNotFound)
			continue
		}
		var wrong *inspect.InvalidError
		require.ErrorAs(t, err, &wrong, after)
	}
}
