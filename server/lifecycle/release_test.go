package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/stretchr/testify/require"
)

func (w *wake) handBackBody(reason string) object {
	return object{"epoch": w.Epoch, "release": true, "reason": reason}
}

// force releases the claim as an operator does.
func (w *wake) force(n *node, reason string) answer {
	w.c.t.Helper()
	return n.do("POST", fmt.Sprintf("/_electric/claims/%s/%d/release", w.Consumer, w.Epoch), object{"reason": reason})
}

func (w *wake) verify(n *node, writeToken string) answer {
	w.c.t.Helper()
	return n.do("POST", "/_electric/claims/verify", object{"consumer_id": w.Consumer, "epoch": w.Epoch, "write_token": writeToken})
}

// over asserts that no node takes anything more of the claim.
func (w *wake) over(nodes ...*node) {
	w.c.t.Helper()
	w.c.eventually(func() bool {
		kept := 0
		for _, n := range nodes {
			kept += n.metric("wakelatch_tokens")
		}
		return kept == 0
	}, "a node kept the token")
	for _, n := range nodes {
		require.Equal(w.c.t, http.StatusUnauthorized, w.append(n).status)
		require.Equal(w.c.t, http.StatusUnauthorized, w.tag(n, "red").status)
		beat := w.heartbeat(n)
		require.Equal(w.c.t, http.StatusConflict, beat.status)
		require.Equal(w.c.t, "CLAIM_LOST", beat.code())
	}
}

// handedBackClaim is given up by its runner on another node than it was claimed on.
func handedBackClaim(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	w.mustAppend(a)
	w.mustAppend(b)
	for _, n := range []*node{b, a} {
		got := w.call(n, w.handBackBody("the machine restarts"))
		require.Equal(t, http.StatusOK, got.status, "%s", got.body)
		require.JSONEq(t, `{"ok":true,"next_wake":true}`, string(got.body), "also when it is said again")
	}
	w.over(a, b)
	row := w.row(a)
	require.Equal(t, "released", row.Status)
	require.Equal(t, "handed_back", *row.ReleaseCause)
	require.Equal(t, "runner:r1 the machine restarts", value[string](c, `SELECT actor || ' ' || reason FROM wakelatch.claim_events WHERE cause = 'handed_back'`))

	next := b.work(wakes.next())
	require.Equal(t, w.Epoch+1, next.Epoch)
	require.Equal(t, []string{"hello"}, next.input(a), "nothing was acknowledged")
	next.mustAppend(b)
	next.done(a)
	after := next.call(b, next.handBackBody("changed my mind"))
	require.Equal(t, http.StatusOK, after.status)
	require.JSONEq(t, `{"ok":true,"next_wake":false}`, string(after.body), "a done is not taken back")
	require.Equal(t, "done", *next.released(a, "idle").ReleaseCause)
	require.EqualValues(t, 2, c.wakeEvents())
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

// forceReleasedClaim is taken by an operator from a runner that goes on writing.
func forceReleasedClaim(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	w.mustAppend(a)
	w.mustAppend(b)
	require.Equal(t, http.StatusBadRequest, w.force(a, "").status, "an operator says why")
	first := w.force(a, "it hangs")
	require.Equal(t, http.StatusOK, first.status, "%s", first.body)
	w.over(a, b)
	next := b.work(wakes.next())
	require.Equal(t, []string{"hello"}, next.input(a))
	again := w.force(b, "it hangs")
	require.Equal(t, http.StatusOK, again.status)
	require.JSONEq(t, string(first.body), string(again.body), "one that has ended is left as it is")
	require.Equal(t, "/principal/user%3Aalice it hangs", value[string](c, `SELECT actor || ' ' || reason FROM wakelatch.claim_events WHERE cause = 'forced'`))
	w.done(b)
	require.Equal(t, "running", a.status("one"), "its late done changes its own row only")
	next.mustAppend(a)
	next.done(a)
	next.released(b, "idle")
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

// verifiedOnAnyNode asks the node that has not heard of the claim whether it is in force.
func verifiedOnAnyNode(t story) {
	c, a, b, wakes := oneWake(t)
	w := a.work(wakes.next())
	for _, n := range []*node{b, a} {
		for _, writeToken := range []string{"", w.writeToken} {
			got := w.verify(n, writeToken)
			require.Equal(t, http.StatusOK, got.status, "%s", got.body)
			var body struct {
				Entity string `json:"entity_url"`
				Runner string `json:"runner_id"`
				Left   int    `json:"lease_remaining_ms"`
			}
			require.NoError(t, json.Unmarshal(got.body, &body))
			require.Equal(t, "/demo/one", body.Entity)
			require.Equal(t, runnerID, body.Runner)
			require.InDelta(t, 30_000, body.Left, 10_000)
		}
		require.Equal(t, http.StatusUnauthorized, w.verify(n, w.ClaimToken).status)
	}
	w.force(a, "it hangs")
	for _, n := range []*node{b, a} {
		got := w.verify(n, w.writeToken)
		require.Equal(t, http.StatusConflict, got.status)
		require.Equal(t, "CLAIM_LOST", got.code())
		require.Contains(t, string(got.body), `"current_epoch":2`)
		require.Contains(t, string(got.body), `"reason":"forced"`)
	}
	c.consistent()
}
