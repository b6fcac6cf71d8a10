package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

const runnerID = "r1"

// answer is what a node answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) code() string {
	var body struct {
		Error struct{ Code string }
	}
	_ = json.Unmarshal(a.body, &body)
	return body.Error.Code
}

// try sends a request; headers are name, value pairs. It fails only if no answer came.
func (n *node) try(method, path string, body any, headers ...string) (answer, error) {
	n.c.t.Helper()
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(n.c.t, err)
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(n.c.t.Context(), method, n.url+path, reader)
	require.NoError(n.c.t, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("electric-principal", "user:alice")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := n.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: content}, err
}

// do is try that must be answered.
func (n *node) do(method, path string, body any, headers ...string) answer {
	n.c.t.Helper()
	a, err := n.try(method, path, body, headers...)
	require.NoError(n.c.t, err)
	return a
}

// must is do that must be answered with this status.
func (n *node) must(status int, method, path string, body any, headers ...string) answer {
	n.c.t.Helper()
	a := n.do(method, path, body, headers...)
	require.Equal(n.c.t, status, a.status, "%s %s: %s", method, path, a.body)
	return a
}

type object = map[string]any

// prepare registers the runner and the entity type demo, dispatched to it.
func (n *node) prepare() {
	n.c.t.Helper()
	n.must(http.StatusCreated, "POST", "/_electric/runners", object{"id": runnerID, "label": "test"})
	n.must(http.StatusCreated, "POST", "/_electric/entity-types", object{
		"name":                    "demo",
		"default_dispatch_policy": object{"targets": []object{{"type": "runner", "runnerId": runnerID}}},
	})
}

// spawn makes the entity /demo/<id> and sends it a first message.
func (n *node) spawn(id, text string) {
	n.c.t.Helper()
	n.must(http.StatusCreated, "PUT", "/_electric/entities/demo/"+id, object{"initialMessage": object{"text": text}})
}

func (n *node) send(id, text string) {
	n.c.t.Helper()
	n.must(http.StatusOK, "POST", "/_electric/entities/demo/"+id+"/send", object{"payload": object{"text": text}})
}

func (n *node) sendSignal(id, name string) {
	n.c.t.Helper()
	n.must(http.StatusOK, "POST", "/_electric/entities/demo/"+id+"/signal", object{"signal": name})
}

func (n *node) status(id string) string {
	n.c.t.Helper()
	var e struct{ Status string }
	require.NoError(n.c.t, json.Unmarshal(n.must(http.StatusOK, "GET", "/_electric/entities/demo/"+id, nil).body, &e))
	return e.Status
}

type wakeEvent struct {
	Type       string `json:"type"`
	Stream     string `json:"stream"`
	Generation int64  `json:"generation"`
	TS         int64  `json:"ts"`
}

// inbox reads a runner's wake stream from where it last was.
type inbox struct {
	n      *node
	path   string
	offset string
	events []wakeEvent
}

func (n *node) inbox() *inbox {
	return &inbox{n: n, path: "/runners/" + runnerID + "/wake", offset: "-1"}
}

// next waits for the next wake event.
func (i *inbox) next() wakeEvent {
	i.n.c.t.Helper()
	query := "?offset=" + i.offset
	for began := time.Now(); len(i.events) == 0; {
		require.Less(i.n.c.t, time.Since(began), patience, "no wake came")
		a := i.n.do("GET", i.path+query, nil)
		require.Contains(i.n.c.t, []int{http.StatusOK, http.StatusNoContent}, a.status, "%s", a.body)
		i.offset = a.header.Get("Stream-Next-Offset")
		if a.status == http.StatusOK {
			require.NoError(i.n.c.t, json.Unmarshal(a.body, &i.events))
		}
		query = "?offset=" + i.offset + "&live=long-poll&cursor=" + a.header.Get("Stream-Cursor")
	}
	e := i.events[0]
	i.events = i.events[1:]
	return e
}

// nextOf waits for the next wake event of an entity with at least this generation.
func (i *inbox) nextOf(id string, generation int64) wakeEvent {
	i.n.c.t.Helper()
	for {
		if e := i.next(); e.Stream == "demo/"+id+"/main" && e.Generation >= generation {
			return e
		}
	}
}

// wake is a claim as its runner holds it.
type wake struct {
	c          *cluster
	id         string // the entity's
	Consumer   string `json:"consumerId"`
	Epoch      int64  `json:"epoch"`
	WakeID     string `json:"wakeId"`
	Callback   string `json:"callback"`
	ClaimToken string `json:"claimToken"`
	Streams    []struct{ Path, Offset string }
	writeToken string
	nextOffset string // as the last append answered it
	appends    int
}

func (n *node) tryClaim(e wakeEvent) answer {
	n.c.t.Helper()
	return n.do("POST", "/_electric/runners/"+runnerID+"/claim", e)
}

// claim claims a wake, which must succeed.
func (n *node) claim(e wakeEvent) *wake {
	n.c.t.Helper()
	a := n.tryClaim(e)
	require.Equal(n.c.t, http.StatusOK, a.status, "claim %+v: %s", e, a.body)
	return n.c.readWake(a)
}

func (c *cluster) readWake(a answer) *wake {
	c.t.Helper()
	w := &wake{c: c}
	require.NoError(c.t, json.Unmarshal(a.body, w))
	require.NotEmpty(c.t, w.Consumer, "no claim: %s", a.body)
	w.id = strings.Split(w.Streams[0].Path, "/")[2]
	return w
}

func (w *wake) callbackPath() string {
	u, err := url.Parse(w.Callback)
	require.NoError(w.c.t, err)
	return u.Path
}

// call sends a callback to any node.
func (w *wake) call(n *node, body object) answer {
	w.c.t.Helper()
	return n.do("POST", w.callbackPath(), body, "Authorization", "Bearer "+w.ClaimToken)
}

// confirm must succeed; the wake has its write token then.
func (w *wake) confirm(n *node) {
	w.c.t.Helper()
	a := w.call(n, object{"epoch": w.Epoch, "wakeId": w.WakeID})
	require.Equal(w.c.t, http.StatusOK, a.status, "confirm: %s", a.body)
	var body struct {
		OK         bool
		WriteToken string
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
	return n.do("POST", path, []object{{"type": "text", "key": fmt.Sprintf("%d-%d", w.Epoch, seq),
		"value": object{"n": seq}, "headers": object{"operation": "insert"}}},
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
	Status        string
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

// released waits until the claim has ended and the entity has this status.
func (w *wake) released(n *node, claimStatus, entityStatus string) claimRow {
	w.c.t.Helper()
	var row claimRow
	w.c.eventually(func() bool {
		a, err := n.try("GET", fmt.Sprintf("/_electric/claims/%s/%d", w.Consumer, w.Epoch), nil)
		return err == nil && json.Unmarshal(a.body, &row) == nil && row.Status == claimStatus
	}, "claim %s epoch %d never became %s", w.Consumer, w.Epoch, claimStatus)
	require.Equal(w.c.t, entityStatus, n.status(w.id))
	return row
}

// events are the items of the entity's main stream.
func (n *node) events(id string) []object {
	n.c.t.Helper()
	var events []object
	a := n.must(http.StatusOK, "GET", "/demo/"+id+"/main?offset=-1", nil)
	require.NoError(n.c.t, json.Unmarshal(a.body, &events))
	return events
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
