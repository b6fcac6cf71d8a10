package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(a.body, &body)
	return body.Error.Code
}

// try sends a request, from any goroutine; headers are name, value pairs. It fails only if no answer came.
func (n *node) try(method, path string, body any, headers ...string) (answer, error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(n.c.t.Context(), method, n.url+path, reader)
	if err != nil {
		return answer{}, err
	}
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
func (n *node) must(status int, method, path string, body any) answer {
	n.c.t.Helper()
	a := n.do(method, path, body)
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

// oneWake makes the entity one, with the message hello and so with its wake out.
func (n *node) oneWake() *inbox {
	n.c.t.Helper()
	n.prepare()
	n.spawn("one", "hello")
	return n.inbox()
}

// spawn makes the entity /demo/<id> and sends it a first message.
func (n *node) spawn(id, text string) {
	n.c.t.Helper()
	n.must(http.StatusCreated, "PUT", "/_electric/entities/demo/"+id, object{"initialMessage": object{"text": text}})
}

// trySend sends a message, from any goroutine.
func (n *node) trySend(id, text string) (answer, error) {
	return n.try("POST", "/_electric/entities/demo/"+id+"/send", object{"payload": object{"text": text}})
}

// send is trySend that must succeed.
func (n *node) send(id, text string) {
	n.c.t.Helper()
	a, err := n.trySend(id, text)
	require.NoError(n.c.t, err)
	require.Equal(n.c.t, http.StatusOK, a.status, "send: %s", a.body)
}

// sendSignal signals the entity one.
func (n *node) sendSignal(name string) {
	n.c.t.Helper()
	n.must(http.StatusOK, "POST", "/_electric/entities/demo/one/signal", object{"signal": name})
}

func (n *node) status(id string) string {
	n.c.t.Helper()
	var e struct {
		Status string `json:"status"`
	}
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
	require.NoError(i.n.c.t, i.fill())
	e := i.events[0]
	i.events = i.events[1:]
	return e
}

// fill reads until a wake event is there, from any goroutine.
func (i *inbox) fill() error {
	query := "?offset=" + i.offset
	for began := time.Now(); len(i.events) == 0; {
		if time.Since(began) > patience {
			return errors.New("no wake came")
		}
		a, err := i.n.try("GET", i.path+query, nil)
		if err != nil {
			return err
		}
		switch a.status {
		case http.StatusOK:
			if err := json.Unmarshal(a.body, &i.events); err != nil {
				return err
			}
		case http.StatusNoContent:
		default:
			return fmt.Errorf("the wake stream answers %d: %s", a.status, a.body)
		}
		i.offset = a.header.Get("Stream-Next-Offset")
		query = "?offset=" + i.offset + "&live=long-poll&cursor=" + a.header.Get("Stream-Cursor")
	}
	return nil
}

// nextOf waits for the next wake event of the entity one with at least this generation.
func (i *inbox) nextOf(generation int64) wakeEvent {
	i.n.c.t.Helper()
	for {
		if e := i.next(); e.Stream == "demo/one/main" && e.Generation >= generation {
			return e
		}
	}
}

// events are the items of the entity's main stream.
func (n *node) events(id string) []object {
	n.c.t.Helper()
	var events []object
	a := n.must(http.StatusOK, "GET", "/demo/"+id+"/main?offset=-1", nil)
	require.NoError(n.c.t, json.Unmarshal(a.body, &events))
	return events
}
