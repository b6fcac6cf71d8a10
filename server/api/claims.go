package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
)

// wakeEvent is what a runner read from its wake stream and sends back to claim the wake.
type wakeEvent struct {
	Stream     string `json:"stream"`
	Generation int64  `json:"generation"`
}

// claimWake answers with the notification, with 204 when there is nothing for this runner, and with done
// when the entity is not awake, so that the runner forgets the wake.
func (a *API) claimWake(w http.ResponseWriter, r *http.Request) error {
	body, err := readJSON[wakeEvent](r)
	if err != nil {
		return err
	}
	if body.Stream == "" {
		return invalid("stream", "is missing: send the wake event as it was read")
	}
	if body.Generation <= 0 {
		return invalid("generation", "is missing: send the wake event as it was read")
	}
	note(r.Context(), slog.String("runner_id", r.PathValue("id")), slog.String("stream", body.Stream))
	claimed, err := a.options.Claims.Claim(r.Context(), claim.ClaimRequest{
		Tenant: caller(r).Tenant, RunnerID: r.PathValue("id"), Owner: ownerAsked(caller(r)),
		StreamPath: strings.TrimPrefix(body.Stream, "/"), Generation: body.Generation,
	})
	switch {
	case errors.Is(err, claim.ErrNothingForYou):
		w.WriteHeader(http.StatusNoContent)
		return nil
	case errors.Is(err, claim.ErrNotAwake):
		return writeJSON(w, http.StatusOK, map[string]bool{"done": true})
	case err != nil:
		return err
	}
	note(r.Context(), slog.String("consumer_id", claimed.Consumer), slog.Int64("epoch", claimed.Epoch))
	return writeJSON(w, http.StatusOK, a.notification(claimed))
}

// ownerAsked is whom a runner must belong to for this caller to claim for it; "" is anybody.
func ownerAsked(who Identity) string {
	if who.Allows(RoleAdmin) {
		return ""
	}
	return who.Principal.URL()
}

type notification struct {
	ConsumerID   string             `json:"consumerId"`
	Epoch        int64              `json:"epoch"`
	WakeID       string             `json:"wakeId"`
	StreamPath   string             `json:"streamPath"`
	Streams      []streamStart      `json:"streams"`
	Callback     string             `json:"callback"`
	ClaimToken   string             `json:"claimToken"`
	TriggerEvent string             `json:"triggerEvent"`
	Entity       notificationEntity `json:"entity"`
	Principal    *principalView     `json:"principal,omitempty"`
}

type streamStart struct {
	Path   string `json:"path"`
	Offset string `json:"offset"`
}

type notificationEntity struct {
	Type      string          `json:"type"`
	Status    string          `json:"status"`
	URL       string          `json:"url"`
	Streams   entityStreams   `json:"streams"`
	Tags      json.RawMessage `json:"tags"`
	SpawnArgs json.RawMessage `json:"spawnArgs"`
	CreatedBy string          `json:"createdBy"`
}

type entityStreams struct {
	Main string `json:"main"`
}

type principalView struct {
	URL  string `json:"url"`
	Key  string `json:"key"`
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

func (a *API) notification(n claim.Notification) notification {
	path := "/" + n.StreamPath
	out := notification{
		ConsumerID: n.Consumer, Epoch: n.Epoch, WakeID: n.Consumer, StreamPath: path,
		Streams:    []streamStart{{Path: path, Offset: stream.Offset(n.StartOffset).String()}},
		Callback:   a.options.PublicURL.JoinPath(callbackPath, url.PathEscape(n.Consumer)).String(),
		ClaimToken: n.ClaimToken, TriggerEvent: "message_received",
		Entity: notificationEntity{
			Type: n.Entity.Type, Status: n.Entity.Status, URL: n.Entity.URL, Streams: entityStreams{Main: path},
			Tags: n.Entity.Tags, SpawnArgs: n.Entity.SpawnArgs, CreatedBy: n.Entity.CreatedBy,
		},
	}
	if p, err := ParsePrincipal(n.Entity.CreatedBy); err == nil {
		out.Entity.CreatedBy = p.URL()
		out.Principal = &principalView{URL: p.URL(), Key: p.Key(), Kind: p.Kind, ID: p.ID}
	}
	return out
}

type claimView struct {
	ConsumerID    string     `json:"consumer_id"`
	Epoch         int64      `json:"epoch"`
	EntityURL     string     `json:"entity_url"`
	StreamPath    string     `json:"stream_path"`
	RunnerID      string     `json:"runner_id"`
	Status        string     `json:"status"`
	ClaimedAt     time.Time  `json:"claimed_at"`
	ConfirmedAt   *time.Time `json:"confirmed_at"`
	DoneAt        *time.Time `json:"done_at"`
	DoneOutcome   *string    `json:"done_outcome"`
	ReleasedAt    *time.Time `json:"released_at"`
	ReleaseCause  *string    `json:"release_cause"`
	ReleasedBy    *string    `json:"released_by"`
	EntityCleared *bool      `json:"entity_cleared"`
}

func viewClaim(c claim.Claim) claimView {
	return claimView{
		ConsumerID: c.ConsumerID, Epoch: c.Epoch, EntityURL: c.EntityURL, StreamPath: "/" + c.StreamPath, RunnerID: c.RunnerID,
		Status: c.Status, ClaimedAt: c.ClaimedAt, ConfirmedAt: c.ConfirmedAt, DoneAt: c.DoneAt, DoneOutcome: c.DoneOutcome,
		ReleasedAt: c.ReleasedAt, ReleaseCause: c.ReleaseCause, ReleasedBy: c.ReleasedBy, EntityCleared: c.EntityCleared,
	}
}
