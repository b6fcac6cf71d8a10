package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The time between heartbeats of a claim is the node's to say; these bound it.
const (
	minBeat = 10 * time.Millisecond
	maxBeat = 10 * time.Second
)

// beat keeps the claim's lease alive until ctx ends or a node says that the claim is over. The first goes
// out at once, and its answer says when to come again.
func (w *Wake) beat(ctx context.Context) {
	interval := maxBeat
	body, err := jsonBody(map[string]int64{"epoch": w.claim.Epoch})
	if err != nil {
		return
	}
	var wait backoff
	for {
		r := w.callbackRequest(body)
		// An attempt that a frozen node never answers must leave time for another one within the lease.
		r.bound = max(interval, time.Second)
		answer, err := w.client.try(ctx, r)
		pauseFor := interval
		switch {
		case err == nil:
			wait = backoff{}
			var told struct {
				Next int64 `json:"next_heartbeat_ms"`
			}
			if answer.decode(&told) == nil && told.Next > 0 {
				interval = min(max(time.Duration(told.Next)*time.Millisecond, minBeat), maxBeat)
				pauseFor = interval
			}
		case ctx.Err() != nil:
			return
		case hasStatus(err, http.StatusNotFound):
			// The row of a claim that ended is past its retention, or the database was replaced.
			w.lose(fmt.Errorf("%w: %w", ErrClaimLost, err))
			return
		case errors.Is(w.judge(err), ErrClaimLost):
			return
		default:
			w.client.log.WarnContext(ctx, "heartbeat failed; it is tried again",
				"error", err, "consumer_id", w.claim.ConsumerID, "epoch", w.claim.Epoch)
			pauseFor = min(wait.next(err), interval)
		}
		if !pause(ctx, pauseFor) {
			return
		}
	}
}
