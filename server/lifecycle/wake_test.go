package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// wake is a claim as its runner holds it.
type wake struct {
	c          *cluster
	id         string // the entity's
	callback   string // the callback's path, the same on every node
	Consumer   string `json:"consumerId"`
	Epoch      int64  `json:"epoch"`
	WakeID     string `json:"wakeId"`
	Callback   string `json:"callback"`
	ClaimToken string `json:"claimToken"`
	Streams    []struct {
		Path   string `json:"path"`
		Offset string `json:"offset"`
	} `json:"streams"`
	writeToken string
	nextOffset string // as the last append answered it
	appends    int
}

// tryClaim asks for a wake, from any goroutine.
func (n *node) tryClaim(e wakeEvent) (answer, error) {
	return n.try("POST", "/_electric/runners/"+runnerID+"/claim", e)
}

// askClaim is tryClaim that must be answered.
func (n *node) askClaim(e wakeEvent) answer {
	n.c.t.Helper()
	a, err := n.tryClaim(e)
	require.NoError(n.c.t, err)
	return a
}

// claim claims a wake, which must succeed.
func (n *node) claim(e wakeEvent) *wake {
	n.c.t.Helper()
	a := n.askClaim(e)
	require.Equal(n.c.t, http.StatusOK, a.status, "claim %+v: %s", e, a.body)
	return n.c.readWake(a)
}

func (c *cluster) readWake(a answer) *wake {
	c.t.Helper()
	w := &wake{c: c}
	require.NoError(c.t, json.Unmarshal(a.body, w))
	require.NotEmpty(c.t, w.Consumer, "no claim: %s", a.body)
	w.id = strings.Split(w.Streams[0].Path, "/")[2]
	u, err := url.Parse(w.Callback)
	require.NoError(c.t, err)
	w.callback = u.Path
	return w
}

// work claims a wake and confirms the claim.
func (n *node) work(e wakeEvent) *wake {
	n.c.t.Helper()
	w := n.claim(e)
	w.confirm(n)
	return w
}

// try sends a callback to any node, from any goroutine.
func (w *wake) try(n *node, body object) (answer, error) {
	return n.try("POST", w.callback, body, "Authorization", "Bearer "+w.ClaimToken)
}

// call is try that must be answered.
func (w *wake) call(n *node, body object) answer {
	w.c.t.Helper()
	a, err := w.try(n, body)
	require.NoError(w.c.t, err)
	return a
}

func (w *wake) confirmBody() object { return object{"epoch": w.Epoch, "wakeId": w.WakeID} }

// confirm must succeed; the wake has its write token then.
func (w *wake) confirm(n *node) {
	w.c.t.Helper()
	a := w.call(n, w.confirmBody())
	require.Equal(w.c.t, http.StatusOK, a.status, "confirm: %s", a.body)
	var body struct {
		OK         bool   `json:"ok"`
		WriteToken string `json:"writeToken"`
	}
	require.NoError(w.c.t, json.Unmarshal(a.body, &body))
	require.True(w.c.t, body.OK)
	require.NotEmpty(w.c.t, body.WriteToken)
	w.writeToken = body.WriteToken
}

func (w *wake) heartbeat(n *node) answer {
	w.c.t.Helper()
	return w.call(n, object{"epoch": w.Epoch})
}

// append writes one event with the write token, as the real runner does.
func (w *wake) append(n *node) answer {
	w.c.t.Helper()
	a := w.appendAt(n, "/demo/"+w.id+"/main", w.appends)
	if a.status == http.StatusOK {
		w.appends++
		w.nextOffset = a.header.Get("Stream-Next-Offset")
	}
	return a
}

func (w *wake) appendAt(n *node, path string, seq int) answer {
	w.c.t.Helper()
	a, err := w.tryAppendAt(n, path, seq)
	require.NoError(w.c.t, err)
	return a
}

// tryAppendAt is appendAt from any goroutine.
func (w *wake) tryAppendAt(n *node, path string, seq int) (answer, error) {
	return n.try("POST", path, []object{{
		"type": "text", "key": fmt.Sprintf("%d-%d", w.Epoch, seq),
		"value": object{"n": seq}, "headers": object{"operation": "insert"},
	}},
		"Authorization", "Bearer "+w.writeToken,
		"Producer-Id", "entity-/demo/"+w.id, "Producer-Epoch", strconv.FormatInt(w.Epoch, 10), "Producer-Seq", strconv.Itoa(seq))
}

// mustAppend appends, which must succeed.
func (w *wake) mustAppend(n *node) {
	w.c.t.Helper()
	a := w.append(n)
	require.Equal(w.c.t, http.StatusOK, a.status, "append: %s", a.body)
}

func (w *wake) tag(n *node, value string) answer {
	w.c.t.Helper()
	return n.do("POST", "/_electric/entities/demo/"+w.id+"/tags/color", object{"value": value}, "electric-claim-token", w.writeToken)
}

// doneBody acknowledges offset, or nothing if it is empty.
func (w *wake) doneBody(offset string) object {
	acks := []object{}
	if offset != "" {
		acks = append(acks, object{"path": "/demo/" + w.id + "/main", "offset": offset})
	}
	return object{"epoch": w.Epoch, "acks": acks, "done": true}
}

// done finishes the claim and acknowledges the last append, which must succeed.
func (w *wake) done(n *node) {
	w.c.t.Helper()
	a := w.call(n, w.doneBody(w.nextOffset))
	require.Equal(w.c.t, http.StatusOK, a.status, "done: %s", a.body)
}

type claimRow struct {
	Status        string  `json:"status"`
	DoneAt        *string `json:"done_at"`
	ReleasedAt    *string `json:"released_at"`
	ReleaseCause  *string `json:"release_cause"`
	ReleasedBy    *string `json:"released_by"`
	EntityCleared *bool   `json:"entity_cleared"`
}

func (w *wake) row(n *node) claimRow {
	w.c.t.Helper()
	a := n.must(http.StatusOK, "GET", fmt.Sprintf("/_electric/claims/%s/%d", w.Consumer, w.Epoch), nil)
	var row claimRow
	require.NoError(w.c.t, json.Unmarshal(a.body, &row))
	return row
}

// released waits until the claim is released; the entity has this status then.
func (w *wake) released(n *node, entityStatus string) claimRow {
	w.c.t.Helper()
	var row claimRow
	w.c.eventually(func() bool {
		a, err := n.try("GET", fmt.Sprintf("/_electric/claims/%s/%d", w.Consumer, w.Epoch), nil)
		return err == nil && json.Unmarshal(a.body, &row) == nil && row.Status == "released"
	}, "claim %s epoch %d was never released", w.Consumer, w.Epoch)
	require.Equal(w.c.t, entityStatus, n.status(w.id))
	return row
}

// input are the inbox messages that the claim is told to handle: those at or above its start.
func (w *wake) input(n *node) []string {
	w.c.t.Helper()
	var texts []string
	for _, e := range n.events(w.id) {
		headers, _ := e["headers"].(object)
		offset, _ := headers["offset"].(string)
		if e["type"] == "inbox" && offset >= w.Streams[0].Offset {
			value, _ := e["value"].(object)
			payload, _ := value["payload"].(object)
			text, _ := payload["text"].(string)
			texts = append(texts, text)
		}
	}
	return texts
}
