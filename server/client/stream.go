package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Beginning is the offset before everything in a stream.
const Beginning = "-1"

// Event is one item of a stream.
type Event struct {
	Type    string
	Key     string
	Value   json.RawMessage
	Headers map[string]any
	// Raw is the item as it is stored.
	Raw json.RawMessage
}

// Offset is where the append that the event came in ends; "" for items that carry none. Offsets of a
// stream sort as text.
func (e Event) Offset() string {
	offset, _ := e.Headers["offset"].(string)
	return offset
}

// Message is what somebody sent to an entity.
type Message struct {
	Key       string          `json:"-"`
	From      string          `json:"from"`
	Payload   json.RawMessage `json:"payload"`
	Type      string          `json:"message_type"`
	Mode      string          `json:"mode"`
	Timestamp string          `json:"timestamp"`
	// Raw is the whole event.
	Raw json.RawMessage `json:"-"`
}

// message is the event as a message, if it is one.
func (e Event) message() (Message, bool) {
	var m Message
	if e.Type != "inbox" || json.Unmarshal(e.Value, &m) != nil {
		return Message{}, false
	}
	m.Key, m.Raw = e.Key, e.Raw
	return m, true
}

// readEvent never fails: a stream may hold any JSON, and what is not an event has only its Raw.
func readEvent(raw json.RawMessage) Event {
	var e struct {
		Type    string          `json:"type"`
		Key     string          `json:"key"`
		Value   json.RawMessage `json:"value"`
		Headers map[string]any  `json:"headers"`
	}
	if json.Unmarshal(raw, &e) != nil {
		return Event{Raw: raw}
	}
	return Event{Type: e.Type, Key: e.Key, Value: e.Value, Headers: e.Headers, Raw: raw}
}

// Page is a part of a stream.
type Page struct {
	Events []Event
	// Next is the offset to read on from.
	Next string
	// UpToDate means that there was nothing after Next.
	UpToDate bool
	// Closed means that there will never be.
	Closed bool
	// Cursor goes with the next Poll.
	Cursor string
}

// Read returns what a stream holds after an offset, Beginning or an earlier page's Next. A long stream
// comes in pages.
func (c *Client) Read(ctx context.Context, path, offset string) (Page, error) {
	answer, err := c.call(ctx, c.read(path, url.Values{"offset": {offset}}))
	if err != nil {
		return Page{}, err
	}
	return readPage(answer)
}

// Poll is Read that waits for the next append if there is nothing after offset. It returns an empty page
// after a while, with which to ask again.
func (c *Client) Poll(ctx context.Context, path, offset, cursor string) (Page, error) {
	answer, err := c.call(ctx, c.poll(path, offset, cursor))
	if err != nil {
		return Page{}, err
	}
	return readPage(answer)
}

func (c *Client) poll(path, offset, cursor string) request {
	query := url.Values{"offset": {offset}, "live": {"long-poll"}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	r := c.read(path, query)
	r.bound = pollTimeout
	return r
}

func (c *Client) read(path string, query url.Values) request {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	return request{method: http.MethodGet, url: c.url(segments...) + "?" + query.Encode()}
}

func readPage(answer response) (Page, error) {
	page := Page{
		Next: answer.header.Get("Stream-Next-Offset"), Cursor: answer.header.Get("Stream-Cursor"),
		UpToDate: answer.header.Get("Stream-Up-To-Date") == "true", Closed: answer.header.Get("Stream-Closed") == "true",
	}
	if answer.status != http.StatusOK || len(answer.body) == 0 {
		return page, nil
	}
	var items []json.RawMessage
	if err := answer.decode(&items); err != nil {
		return Page{}, err
	}
	page.Events = make([]Event, len(items))
	for i, raw := range items {
		page.Events[i] = readEvent(raw)
	}
	return page, nil
}
