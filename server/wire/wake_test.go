package wire_test

import (
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/token"
)

// wake is a claim as its runner holds it.
type wake struct {
	Consumer   string `json:"consumerId"`
	Epoch      int64  `json:"epoch"`
	ClaimToken string `json:"claimToken"`
	Callback   string `json:"callback"`
	Path       string `json:"streamPath"`
	callback   string
	writeToken string
}

// prepare registers the runner r1 and the type demo that it works for.
func (n *node) prepare() {
	n.t.Helper()
	n.must(201, "POST", "/_electric/runners", `{"id":"r1"}`)
	n.must(201, "POST", "/_electric/entity-types", `{"name":"demo","default_dispatch_policy":`+policy("r1")+`}`)
}

func policy(runner string) string {
	return `{"targets":[{"type":"runner","runnerId":"` + runner + `"}]}`
}

// spawn makes /demo/<id> with a first message, and so with its wake out.
func (n *node) spawn(id string) {
	n.t.Helper()
	n.must(201, "PUT", "/_electric/entities/demo/"+id, `{"initialMessage":"hello"}`)
}

// claim claims the wake of /demo/<id> of this generation for r1.
func (n *node) claim(id string, generation int64) *wake {
	n.t.Helper()
	got := n.must(200, "POST", "/_electric/runners/r1/claim", wakeEvent(id, generation))
	w := &wake{}
	require.NoError(n.t, json.Unmarshal([]byte(got.body), w))
	require.NotEmpty(n.t, w.Consumer, got.body)
	address, err := url.Parse(w.Callback)
	require.NoError(n.t, err)
	w.callback = address.Path
	return w
}

// work is claim, confirmed.
func (n *node) work(id string, generation int64) *wake {
	n.t.Helper()
	w := n.claim(id, generation)
	got := n.must(200, "POST", w.callback, `{"wakeId":"`+w.Consumer+`"}`, w.claimHeader()...)
	var confirmed struct {
		WriteToken string `json:"writeToken"`
	}
	require.NoError(n.t, json.Unmarshal([]byte(got.body), &confirmed))
	w.writeToken = confirmed.WriteToken
	return w
}

// finish sends done with an ack up to the offset and waits until the claim is released.
func (n *node) finish(w *wake, offset string) {
	n.t.Helper()
	n.must(200, "POST", w.callback, w.doneBody(offset), w.claimHeader()...)
	n.released(w)
}

func (n *node) released(w *wake) {
	n.t.Helper()
	n.eventually(func() bool {
		var c struct {
			Status string `json:"status"`
		}
		require.NoError(n.t, json.Unmarshal([]byte(n.must(200, "GET", "/_electric/claims/"+w.Consumer+"/"+w.epoch(), "").body), &c))
		return c.Status != "active"
	}, "the claim is released")
}

func wakeEvent(id string, generation int64) string {
	return `{"type":"wake","stream":"demo/` + id + `/main","generation":` + strconv.FormatInt(generation, 10) + `}`
}

func (w *wake) epoch() string { return strconv.FormatInt(w.Epoch, 10) }

func (w *wake) claimHeader() []string { return []string{"Electric-Claim-Token", w.ClaimToken} }

func (w *wake) writeHeader() []string { return []string{"Electric-Claim-Token", w.writeToken} }

func (w *wake) doneBody(offset string) string {
	return `{"epoch":` + w.epoch() + `,"acks":[{"path":"` + w.Path + `","offset":"` + offset + `"}],"done":true}`
}

// append is the holder's next append, as the real runner sends it.
func (w *wake) append(body string, seq int) request {
	return request{method: "POST", path: w.Path, body: body, header: append(w.writeHeader(),
		"Content-Type", "application/json", "Producer-Id", "entity-"+w.Path, "Producer-Epoch", w.epoch(), "Producer-Seq", strconv.Itoa(seq))}
}

// forge signs a token of a claim that nobody has.
func (n *node) forge(kind token.Kind, c token.Claim) string {
	n.t.Helper()
	ring, err := token.NewKeyring(secret())
	require.NoError(n.t, err)
	return ring.Sign(kind, c)
}

// spoil changes the last character of a token's MAC.
func spoil(tok string) string {
	last := "A"
	if tok[len(tok)-1] == 'A' {
		last = "E"
	}
	return tok[:len(tok)-1] + last
}
