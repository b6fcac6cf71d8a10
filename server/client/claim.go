package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// wakeEvent is an item of a wake stream. It is sent back as it was read.
type wakeEvent struct {
	Stream     string `json:"stream"`
	Generation int64  `json:"generation"`
	raw        json.RawMessage
}

// wakeEvents are the wakes of a page in their order, of each entity the newest only: an older one is
// outstanding no more.
func wakeEvents(page Page) []wakeEvent {
	var events []wakeEvent
	newest := map[string]int{}
	for _, e := range page.Events {
		event := wakeEvent{raw: e.Raw}
		if e.Type != "wake" || json.Unmarshal(e.Raw, &event) != nil || event.Stream == "" {
			continue
		}
		newest[event.Stream] = len(events)
		events = append(events, event)
	}
	kept := events[:0]
	for i, event := range events {
		if newest[event.Stream] == i {
			kept = append(kept, event)
		}
	}
	return kept
}

// notification is the answer to a claim.
type notification struct {
	ConsumerID string `json:"consumerId"`
	Epoch      int64  `json:"epoch"`
	WakeID     string `json:"wakeId"`
	StreamPath string `json:"streamPath"`
	Streams    []struct {
		Path   string `json:"path"`
		Offset string `json:"offset"`
	} `json:"streams"`
	Callback   string `json:"callback"`
	ClaimToken string `json:"claimToken"`
	Entity     struct {
		Type      string            `json:"type"`
		Status    string            `json:"status"`
		URL       string            `json:"url"`
		Tags      map[string]string `json:"tags"`
		SpawnArgs json.RawMessage   `json:"spawnArgs"`
		CreatedBy string            `json:"createdBy"`
	} `json:"entity"`
}

// start is where the input of the wake begins: events with this offset or a higher one.
func (n notification) start() string {
	for _, s := range n.Streams {
		if s.Path == n.StreamPath {
			return s.Offset
		}
	}
	return Beginning
}

func (n notification) entity() Entity {
	e := n.Entity
	return Entity{URL: e.URL, Type: e.Type, Status: e.Status, Tags: e.Tags, SpawnArgs: e.SpawnArgs, CreatedBy: e.CreatedBy}
}

// claim claims a wake and confirms the claim. It returns nil when the wake is not this runner's to take:
// another process has it, or it is over. It stops trying when taking ends, and an attempt that is under way
// then still counts, so that no claim is left behind that nobody works on.
func (c *Client) claim(ctx, taking context.Context, runnerID string, e wakeEvent) (*Wake, error) {
	answer, err := c.callWhile(ctx, taking, request{
		method: http.MethodPost, url: c.url("_electric", "runners", runnerID, "claim"), body: e.raw,
	})
	if hasStatus(err, http.StatusConflict) {
		return nil, nil //nolint:nilnil // no wake is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("claim wake of stream %q: %w", e.Stream, err)
	}
	var n notification
	if len(answer.body) > 0 {
		if err := answer.decode(&n); err != nil {
			return nil, err
		}
	}
	if n.ConsumerID == "" || n.Callback == "" {
		return nil, nil //nolint:nilnil // there is nothing for this runner, or the entity is not awake
	}
	return c.confirm(ctx, n)
}

// confirm answers that this process works on the claim. Of two processes with one runner id only one may.
// When an answer was lost, the repetition is refused like another process's, and the lease decides.
func (c *Client) confirm(ctx context.Context, n notification) (*Wake, error) {
	w := newWake(c, n)
	var answer struct {
		WriteToken string `json:"writeToken"`
	}
	err := w.callback(ctx, map[string]any{"epoch": n.Epoch, "wakeId": n.WakeID}, &answer)
	if hasCode(err, "ALREADY_CONFIRMED") || isLoss(err) {
		return nil, nil //nolint:nilnil // no wake is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("confirm claim %s epoch %d: %w", n.ConsumerID, n.Epoch, err)
	}
	w.token = answer.WriteToken
	return w, nil
}
