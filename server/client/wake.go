package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Wake is a claimed wake of an entity, from its confirmation to its done. Its methods may be called by many
// goroutines, and by nobody after the handler has returned.
type Wake struct {
	client *Client
	claim  notification
	token  string
	input  []Event
	end    string // of the input that was read
	out    *appender
	lose   context.CancelCauseFunc
}

func newWake(c *Client, n notification) *Wake {
	w := &Wake{client: c, claim: n, lose: func(error) {}}
	w.out = newAppender(w.append)
	return w
}

// Entity is the entity as it was before the claim.
func (w *Wake) Entity() Entity { return w.claim.entity() }

// ID names the wake; with Epoch it names the claim.
func (w *Wake) ID() string { return w.claim.ConsumerID }

// Epoch counts the wakes of the entity. It only grows.
func (w *Wake) Epoch() int64 { return w.claim.Epoch }

// Stream is the path of the entity's main stream.
func (w *Wake) Stream() string { return w.claim.StreamPath }

// Token is the write token, for writing without this package: it goes into the header electric-claim-token.
func (w *Wake) Token() string { return w.token }

// Input is every event that no earlier wake acknowledged, oldest first. Among it is what earlier wakes wrote
// since: see Messages for what was sent to the entity.
func (w *Wake) Input() []Event { return w.input }

// Messages are the messages in the input. There is none when the entity was woken by SIGCONT only.
func (w *Wake) Messages() []Message {
	var messages []Message
	for _, e := range w.input {
		if m, ok := e.message(); ok {
			messages = append(messages, m)
		}
	}
	return messages
}

// readInput reads what this wake is to handle. What comes later wakes the entity again.
func (w *Wake) readInput(ctx context.Context) error {
	start := w.claim.start()
	for from := start; ; {
		page, err := w.client.Read(ctx, w.claim.StreamPath, from)
		if err != nil {
			return fmt.Errorf("read input: %w", err)
		}
		for _, e := range page.Events {
			if e.Offset() >= start && e.Offset() != "" {
				w.input = append(w.input, e)
			}
		}
		w.end = page.Next
		if page.UpToDate || page.Next == from {
			return nil
		}
		from = page.Next
	}
}

// Append writes events to the entity's stream and returns when they are stored. Appends that are called
// while another is under way go together in the next request, in their order; each lands once, however
// often it is sent. An event is any value that encodes to a JSON object.
func (w *Wake) Append(ctx context.Context, events ...any) error {
	last, err := w.put(ctx, events)
	if err != nil {
		return err
	}
	return w.out.wait(ctx, last)
}

// Queue is Append that does not wait: it blocks only while very much is queued. What becomes of the events
// is told by Flush, by any later Queue, and by the wake, which is not done if they could not be stored.
func (w *Wake) Queue(ctx context.Context, events ...any) error {
	_, err := w.put(ctx, events)
	return err
}

// Flush returns when everything queued before is stored.
func (w *Wake) Flush(ctx context.Context) error { return w.out.flush(ctx) }

func (w *Wake) put(ctx context.Context, events []any) (last int64, err error) {
	encoded := make([]json.RawMessage, len(events))
	for i, e := range events {
		if encoded[i], err = json.Marshal(e); err != nil {
			return 0, fmt.Errorf("encode event: %w", err)
		}
	}
	return w.out.add(ctx, encoded)
}

// SetTag sets a tag of the entity.
func (w *Wake) SetTag(ctx context.Context, key, value string) error {
	body, err := jsonBody(map[string]string{"value": value})
	if err != nil {
		return err
	}
	return w.tag(ctx, http.MethodPost, key, body)
}

// DeleteTag removes a tag of the entity.
func (w *Wake) DeleteTag(ctx context.Context, key string) error {
	return w.tag(ctx, http.MethodDelete, key, nil)
}

func (w *Wake) tag(ctx context.Context, method, key string, body []byte) error {
	at := w.client.base.String() + "/_electric/entities" + w.claim.Entity.URL + "/tags/" + url.PathEscape(key)
	_, err := w.client.call(ctx, request{method: method, url: at, body: body, token: w.token})
	if err != nil {
		return fmt.Errorf("write tag %q: %w", key, w.judge(err))
	}
	return nil
}

// callback reports to whichever node answers.
func (w *Wake) callback(ctx context.Context, body, into any) error {
	encoded, err := jsonBody(body)
	if err != nil {
		return err
	}
	answer, err := w.client.call(ctx, w.callbackRequest(encoded))
	if err != nil || into == nil {
		return err
	}
	return answer.decode(into)
}

func (w *Wake) callbackRequest(body []byte) request {
	return request{method: http.MethodPost, url: w.claim.Callback, body: body, token: w.claim.ClaimToken}
}

// judge ends the wake if the refusal of one of its requests means that the claim is over.
func (w *Wake) judge(err error) error {
	if !isLoss(err) || errors.Is(err, ErrClaimLost) {
		return err
	}
	lost := fmt.Errorf("%w: %w", ErrClaimLost, err)
	w.lose(lost)
	return lost
}
