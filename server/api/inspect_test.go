package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// woken is a node with a runner r1, and the entities /demo/a, which r1 claimed, and /demo/b, whose wake is out.
func woken(t *testing.T) (s *site, consumer string) {
	t.Helper()
	s = node(t)
	s.want(201, "POST", "/_electric/runners", `{"id":"r1"}`)
	s.want(201, "POST", "/_electric/entity-types", `{"name":"demo","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"r1"}]}}`)
	for _, id := range []string{"a", "b"} {
		s.want(201, "PUT", "/_electric/entities/demo/"+id, `{"initialMessage":"hello"}`)
	}
	claimed := s.want(200, "POST", "/_electric/runners/r1/claim", `{"type":"wake","stream":"demo/a/main","generation":1}`)
	return s, claimed["consumerId"].(string)
}

func TestClaimsAreListedAndShown(t *testing.T) {
	t.Parallel()
	s, consumer := woken(t)
	for _, query := range []string{"", "?status=active", "?entity=/demo/a", "?runner=r1&limit=1"} {
		claims := s.want(200, "GET", "/_electric/claims"+query, "")
		require.Len(t, claims["claims"], 1, query)
		require.NotContains(t, claims, "next_after")
	}
	require.Empty(t, s.want(200, "GET", "/_electric/claims?status=expired", "")["claims"])
	shown := s.want(200, "GET", "/_electric/claims/"+consumer+"/1", "")
	require.Equal(t, "active", shown["status"])
	require.InDelta(t, 30_000, shown["lease_remaining_ms"], 10_000)
	s.wantError(404, "NOT_FOUND", "GET", "/_electric/claims/"+consumer+"/2", "")
	s.wantError(400, "INVALID_REQUEST", "GET", "/_electric/claims/"+consumer+"/x", "")
	s.wantError(400, "INVALID_REQUEST", "GET", "/_electric/claims/a%00b/1", "")
	require.Contains(t, s.wantError(400, "INVALID_REQUEST", "GET", "/_electric/claims?status=lost", "").Message, "status")
	require.Contains(t, s.wantError(400, "INVALID_REQUEST", "GET", "/_electric/claims?after=x", "").Message, "after")
	require.Contains(t, s.wantError(400, "INVALID_REQUEST", "GET", "/_electric/claims?limit=x", "").Message, "limit")
}

func TestDispatchOfAnEntity(t *testing.T) {
	t.Parallel()
	s, consumer := woken(t)
	held := s.want(200, "GET", "/_electric/entities/demo/a/dispatch", "")
	require.Equal(t, "claimed", held["state"])
	require.Equal(t, consumer, held["owner"].(map[string]any)["consumer_id"])
	require.Equal(t, true, held["pending"])
	waiting := s.want(200, "GET", "/_electric/entities/demo/b/dispatch", "")
	require.Equal(t, "runner_offline", waiting["state"], "it sent no heartbeat")
	require.Equal(t, "r1", waiting["wake"].(map[string]any)["runner_id"])
	s.wantError(404, "NOT_FOUND", "GET", "/_electric/entities/demo/c/dispatch", "")
}

func TestHistoryOfAnEntityAndARunner(t *testing.T) {
	t.Parallel()
	s, consumer := woken(t)
	s.want(200, "POST", "/_electric/runners/r1/claim", `{"type":"wake","stream":"demo/b/main","generation":1}`)
	events := s.want(200, "GET", "/_electric/entities/demo/a/history", "")["events"].([]any)
	newest := events[0].(map[string]any)
	require.Equal(t, "claimed", newest["what"])
	require.Equal(t, consumer, newest["consumer_id"])
	require.Equal(t, "runner:r1", newest["actor"])

	first := s.want(200, "GET", "/_electric/runners/r1/history?limit=1", "")
	require.Equal(t, "/demo/b", first["events"].([]any)[0].(map[string]any)["entity_url"])
	second := s.want(200, "GET", "/_electric/runners/r1/history?limit=1&after="+first["next_after"].(string), "")
	require.Equal(t, "/demo/a", second["events"].([]any)[0].(map[string]any)["entity_url"])
	s.wantError(404, "NOT_FOUND", "GET", "/_electric/entities/demo/c/history", "")
	s.wantError(404, "NOT_FOUND", "GET", "/_electric/runners/r2/history", "")
}
