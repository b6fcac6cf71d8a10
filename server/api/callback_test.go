package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNotification(t *testing.T) {
	t.Parallel()
	s := node(t)
	c := s.claim()
	require.Equal(t, map[string]any{
		"consumerId": c.consumer, "wakeId": c.consumer, "epoch": float64(1), "claimToken": c.token,
		"streamPath": "/demo/one/main",
		"streams":    []any{map[string]any{"path": "/demo/one/main", "offset": "0000000000000001"}},
		"callback":   s.url + c.callback, "triggerEvent": "message_received",
		"entity": map[string]any{
			"type": "demo", "status": "idle", "url": "/demo/one", "streams": map[string]any{"main": "/demo/one/main"},
			"tags": map[string]any{"a": "b"}, "spawnArgs": map[string]any{"n": float64(1)}, "createdBy": "/principal/user%3Aalice",
		},
		"principal": map[string]any{"url": "/principal/user%3Aalice", "key": "user:alice", "kind": "user", "id": "alice"},
	}, c.notification)
}

func TestClaimAnswers(t *testing.T) {
	t.Parallel()
	s := node(t)
	c := s.claim()
	event := `{"type":"wake","stream":"demo/one/main","generation":1}`
	again := s.want(200, "POST", "/_electric/runners/r1/claim", event)
	require.Equal(t, c.notification, again, "a lost answer is given again")
	s.want(204, "POST", "/_electric/runners/r1/claim", `{"stream":"demo/none/main","generation":1}`)
	s.want(200, "POST", c.callback, `{"wakeId":"`+c.consumer+`"}`, "Electric-Claim-Token", c.token)
	s.wantError(409, "ALREADY_CLAIMED", "POST", "/_electric/runners/r1/claim", event)
	s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/runners/r1/claim", `{"generation":1}`)
	s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/runners/r1/claim", `{"stream":"demo/one/main","generation":"1"}`)

	s.want(201, "PUT", "/_electric/entities/demo/two", `{"initialMessage":"hello"}`)
	s.wantError(409, "NO_PENDING_WORK", "POST", "/_electric/runners/r1/claim", `{"stream":"/demo/two/main","generation":7}`)
	s.want(200, "POST", "/_electric/entities/demo/two/signal", `{"signal":"SIGSTOP"}`)
	paused := s.want(200, "POST", "/_electric/runners/r1/claim", `{"stream":"demo/two/main","generation":1}`)
	require.Equal(t, map[string]any{"done": true}, paused)
}

func TestCallbackNeedsTheTokenOfItsClaim(t *testing.T) {
	s := node(t)
	c := s.claim()
	writeToken := s.want(200, "POST", c.callback, `{"wakeId":"`+c.consumer+`"}`, "Electric-Claim-Token", c.token)["writeToken"].(string)
	for name, headers := range map[string][]string{
		"none":         nil,
		"garbage":      {"Electric-Claim-Token", "garbage"},
		"forged":       {"Electric-Claim-Token", c.token[:len(c.token)-2] + "AA"},
		"write token":  {"Electric-Claim-Token", writeToken},
		"no bearer":    {"Authorization", "Basic " + c.token},
		"header first": {"Electric-Claim-Token", "garbage", "Authorization", "Bearer " + c.token},
	} {
		t.Run(name, func(t *testing.T) {
			said := s.wantError(401, "UNAUTHORIZED", "POST", c.callback, `{"done":true}`, headers...)
			require.Contains(t, said.Message, "Invalid claim token")
		})
	}
	s.wantError(401, "UNAUTHORIZED", "POST", "/_electric/wake-callbacks/w_other", `{"done":true}`, "Electric-Claim-Token", c.token)
	require.Equal(t, "active", s.want(200, "GET", "/_electric/claims/"+c.consumer+"/1", "")["status"])
}

func TestCallbacksOfOneClaim(t *testing.T) {
	t.Parallel()
	s := node(t)
	c := s.claim()
	post := func(status int, body string) map[string]any {
		t.Helper()
		return s.want(status, "POST", c.callback, body, "Authorization", "Bearer "+c.token)
	}
	postError := func(status int, code, body string) wireError {
		t.Helper()
		return s.wantError(status, code, "POST", c.callback, body, "Electric-Claim-Token", c.token)
	}
	postError(409, "EPOCH_MISMATCH", `{"epoch":2,"wakeId":"`+c.consumer+`"}`)
	postError(400, "INVALID_REQUEST", `{"epoch":"1"}`)
	postError(400, "INVALID_REQUEST", `{"epoch":1,"wakeId":"w_other"}`)

	confirmed := post(200, `{"epoch":1,"wakeId":"`+c.consumer+`","later":"fields are ignored"}`)
	require.Equal(t, true, confirmed["ok"])
	require.NotEmpty(t, confirmed["writeToken"])
	postError(409, "ALREADY_CONFIRMED", `{"epoch":1,"wakeId":"`+c.consumer+`"}`)

	beat := post(200, `{"epoch":1}`)
	require.Equal(t, map[string]any{"ok": true, "next_wake": false, "lease_ttl_ms": float64(30000), "next_heartbeat_ms": float64(10000)}, beat)
	require.Equal(t, beat, post(200, ``), "an empty body is a heartbeat")

	postError(409, "EPOCH_MISMATCH", `{"epoch":2,"done":true}`)
	postError(400, "INVALID_REQUEST", `{"done":true,"outcome":"perhaps"}`)
	wrong := postError(400, "INVALID_REQUEST", `{"done":true,"acks":[{"path":"/demo/one/main","offset":"now"}]}`)
	require.Equal(t, "acks[0].offset", wrong.Details["field"])
	require.Equal(t, "active", s.want(200, "GET", "/_electric/claims/"+c.consumer+"/1", "")["status"], "what was refused changed nothing")

	for range 2 {
		require.Equal(t, map[string]any{"ok": true, "next_wake": false},
			post(200, `{"epoch":1,"done":true,"acks":[{"path":"/demo/one/main","offset":"0000000000000999"}]}`))
	}
	require.Eventually(t, func() bool {
		got := s.want(200, "GET", "/_electric/claims/"+c.consumer+"/1", "")
		return got["status"] == "released" && got["entity_cleared"] == true && got["done_at"] != nil && got["release_cause"] == "done"
	}, patience, tick)
	lost := postError(409, "CLAIM_LOST", `{"epoch":1}`)
	require.Equal(t, map[string]any{"status": "released", "reason": "done"}, lost.Details)
}

func TestClaimsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.wantError(404, "NOT_FOUND", "GET", "/_electric/claims/w_1/1", "")
	s.wantError(400, "INVALID_REQUEST", "GET", "/_electric/claims/w_1/one", "")
}
