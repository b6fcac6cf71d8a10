package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Entity is an agent with an event stream.
type Entity struct {
	URL       string            `json:"url"`
	Type      string            `json:"type"`
	Status    string            `json:"status"`
	Tags      map[string]string `json:"tags"`
	SpawnArgs json.RawMessage   `json:"spawn_args"`
	CreatedBy string            `json:"created_by"`
}

// Stream is the path of an entity's main stream.
func (e Entity) Stream() string { return e.URL + "/main" }

// Spawning is what an entity begins with; all of it may be left zero.
type Spawning struct {
	Args any
	Tags map[string]string
	// RunnerID is the runner that works for it; "" means that of its type.
	RunnerID string
	// Message is the payload of its first message.
	Message any
}

// Spawn makes the entity /type/id. One that exists already is an *Error with the code ENTITY_EXISTS, which
// a repetition gets too if the answer to the first attempt was lost.
func (c *Client) Spawn(ctx context.Context, kind, id string, s Spawning) (Entity, error) {
	body := map[string]any{}
	if s.Args != nil {
		body["args"] = s.Args
	}
	if s.Tags != nil {
		body["tags"] = s.Tags
	}
	if s.RunnerID != "" {
		body["dispatch_policy"] = policyOf(s.RunnerID)
	}
	if s.Message != nil {
		body["initialMessage"] = s.Message
	}
	var made Entity
	err := c.send(ctx, http.MethodPut, c.url("_electric", "entities", kind, id), body, &made)
	return made, err
}

// Entity looks an entity up by its URL, such as /demo/one.
func (c *Client) Entity(ctx context.Context, entityURL string) (Entity, error) {
	kind, id, err := split(entityURL)
	if err != nil {
		return Entity{}, err
	}
	var found Entity
	err = c.send(ctx, http.MethodGet, c.url("_electric", "entities", kind, id), nil, &found)
	return found, err
}

// Sending is a message to an entity.
type Sending struct {
	Payload any
	// Key makes the message the same one however often it is sent; "" makes a new one.
	Key string
	// Type is the sender's own name for this kind of message.
	Type string
	// Mode is immediate if left empty.
	Mode string
	// After delays the message: it comes not before that, and usually within six seconds from then. At most 30 days.
	After time.Duration
}

// Send sends a message to an entity and returns the id that its event carries in headers.txid, which of a delayed one
// is not known yet.
func (c *Client) Send(ctx context.Context, entityURL string, s Sending) (txid string, err error) {
	kind, id, err := split(entityURL)
	if err != nil {
		return "", err
	}
	if s.Key == "" {
		s.Key = "msg-" + strings.ToLower(rand.Text())
	}
	body := map[string]any{"payload": s.Payload, "key": s.Key}
	if s.Type != "" {
		body["type"] = s.Type
	}
	if s.Mode != "" {
		body["mode"] = s.Mode
	}
	at := c.url("_electric", "entities", kind, id, "send")
	if s.After != 0 {
		// A part of a millisecond is not to become none.
		body["afterMs"] = (s.After + time.Millisecond - 1).Milliseconds()
		return "", c.send(ctx, http.MethodPost, at, body, nil)
	}
	var answer struct {
		TxID string `json:"txid"`
	}
	err = c.send(ctx, http.MethodPost, at, body, &answer)
	return answer.TxID, err
}

// Signal sends a signal, such as SIGSTOP, to an entity.
func (c *Client) Signal(ctx context.Context, entityURL, name string) error {
	kind, id, err := split(entityURL)
	if err != nil {
		return err
	}
	return c.send(ctx, http.MethodPost, c.url("_electric", "entities", kind, id, "signal"), map[string]string{"signal": name}, nil)
}

// split takes an entity's URL apart.
func split(entityURL string) (kind, id string, err error) {
	kind, id, found := strings.Cut(strings.TrimPrefix(entityURL, "/"), "/")
	if !found || kind == "" || id == "" || strings.Contains(id, "/") {
		return "", "", fmt.Errorf("%q is no entity's url: use /type/id", entityURL)
	}
	return kind, id, nil
}
