package client

import (
	"context"
	"fmt"
	"strings"
)

type ack struct {
	Path   string `json:"path"`
	Offset string `json:"offset"`
}

type doneBody struct {
	Epoch   int64  `json:"epoch"`
	Acks    []ack  `json:"acks"`
	Done    bool   `json:"done"`
	Outcome string `json:"outcome,omitempty"`
}

// done finishes the claim, repeating it until it is answered. It acknowledges what was read: up to the end
// of the input, or of the last append that nothing else had come before. A failed one acknowledges nothing,
// so that the input stays pending.
func (w *Wake) done(ctx context.Context, failed bool) error {
	body := doneBody{Epoch: w.claim.Epoch, Acks: []ack{}, Done: true}
	if failed {
		body.Outcome = "failed"
	} else {
		body.Acks = append(body.Acks, ack{Path: w.claim.StreamPath, Offset: max(w.end, w.out.tail())})
	}
	if err := w.callback(ctx, body, nil); err != nil {
		return fmt.Errorf("finish claim %s epoch %d: %w", w.claim.ConsumerID, w.claim.Epoch, err)
	}
	return nil
}

type handBackBody struct {
	Epoch   int64  `json:"epoch"`
	Release bool   `json:"release"`
	Reason  string `json:"reason"`
}

// maxReason is how many bytes of a reason a node takes.
const maxReason = 1000

// handBack gives the claim up, repeating it until it is answered. Nothing is acknowledged, and it does not
// count as a failure.
func (w *Wake) handBack(ctx context.Context, cause error) error {
	reason := strings.ReplaceAll(cause.Error(), "\x00", "")
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	if err := w.callback(ctx, handBackBody{Epoch: w.claim.Epoch, Release: true, Reason: reason}, nil); err != nil {
		return fmt.Errorf("hand back claim %s epoch %d: %w", w.claim.ConsumerID, w.claim.Epoch, err)
	}
	return nil
}
