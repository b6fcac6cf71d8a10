package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/token"
)

// world is a node with something in every state that a request can meet. No case changes it, so all share one.
type world struct {
	*node
	held    *wake // confirmed, in force, has appended one event
	fresh   *wake // claimed, not confirmed
	other   *wake // confirmed, of another entity
	past    *wake // released; its entity is claimed again by
	present *wake
	killed  *wake // its entity was killed while it ran
	gone    *wake // released, nothing after it
	offset  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{node: start(t)}
	w.prepare()
	for _, id := range []string{"disabled", "mine"} {
		w.must(201, "POST", "/_electric/runners", `{"id":"`+id+`"}`)
	}
	w.must(200, "POST", "/_electric/runners/disabled/disable", ``)
	for _, id := range []string{"held", "fresh", "other", "past", "gone", "killed", "waiting", "paused", "stopped"} {
		w.spawn(id)
	}
	w.must(201, "PUT", "/_electric/entities/demo/idle", ``)
	w.held, w.other, w.fresh = w.work("held", 1), w.work("other", 1), w.claim("fresh", 1)
	appended := w.send(w.held.append(`[{"type":"text","value":1}]`, 0))
	require.Equal(t, 200, appended.status, appended.body)
	w.offset = appended.header.Get("Stream-Next-Offset")
	w.past, w.gone, w.killed = w.work("past", 1), w.work("gone", 1), w.work("killed", 1)
	w.finish(w.past, w.offset)
	w.finish(w.gone, w.offset)
	w.must(200, "POST", "/_electric/entities/demo/past/send", `{"payload":"again"}`)
	w.present = w.work("past", 2)
	for id, signal := range map[string]string{"killed": "SIGKILL", "paused": "SIGSTOP", "stopped": "SIGTERM"} {
		w.must(200, "POST", "/_electric/entities/demo/"+id+"/signal", `{"signal":"`+signal+`"}`)
	}
	w.streams()
	return w
}

// streams are those that belong to no entity: texts, items with a producer, and one that is closed.
func (w *world) streams() {
	w.must(201, "PUT", "/v1/stream/texts", ``, "Content-Type", "text/plain")
	w.must(201, "PUT", "/v1/stream/items", ``, "Content-Type", "application/json")
	for _, seq := range []string{"0", "1"} {
		w.must(200, "POST", "/v1/stream/items", `[1]`, producing("3", seq)...)
	}
	w.must(204, "POST", "/v1/stream/items", `[1]`, "Content-Type", "application/json", "Stream-Seq", "b")
	w.must(201, "PUT", "/v1/stream/ended", `[1]`, "Content-Type", "application/json", "Stream-Closed", "true")
}

// producing are the headers of the producer p of a JSON stream.
func producing(epoch, seq string) []string {
	return []string{"Content-Type", "application/json", "Producer-Id", "p", "Producer-Epoch", epoch, "Producer-Seq", seq}
}

// foreign is a genuine token of another tenant, of a claim with the same id.
func (w *world) foreign(kind token.Kind, held *wake) string {
	c := token.Claim{Tenant: "other", Consumer: held.Consumer, Epoch: held.Epoch}
	if kind == token.WriteToken {
		c.Stream = strings.TrimPrefix(held.Path, "/")
	}
	return w.forge(kind, c)
}

// steady replaces what differs between two runs, so that a message can stand in the table.
func (w *world) steady(text string) string {
	names := []string{strings.TrimPrefix(w.url, "http://"), "127.0.0.1:8080"}
	for name, held := range map[string]*wake{
		"held": w.held, "fresh": w.fresh, "other": w.other, "past": w.past, "present": w.present, "killed": w.killed, "gone": w.gone,
	} {
		names = append(names, held.Consumer, "<consumer "+name+">")
	}
	return strings.NewReplacer(names...).Replace(text)
}
