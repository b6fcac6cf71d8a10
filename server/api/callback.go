package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/server/token"
)

// callbackPath is where a claim's holder reports; the consumer id follows.
const callbackPath = "/_electric/wake-callbacks"

type callbackBody struct {
	Epoch   *int64        `json:"epoch"`
	WakeID  *string       `json:"wakeId"`
	Done    bool          `json:"done"`
	Release bool          `json:"release"`
	Reason  string        `json:"reason"`
	Outcome string        `json:"outcome"`
	Acks    []callbackAck `json:"acks"`
}

type callbackAck struct {
	Path   string `json:"path"`
	Offset string `json:"offset"`
}

// callback is the one address a claim's holder reports to, on any node. With release it hands the claim back,
// with done it finishes, else with a wake id it confirms, else it is a heartbeat.
func (a *API) callback(w http.ResponseWriter, r *http.Request) error {
	held, err := a.holder(r)
	if err != nil {
		return err
	}
	body, err := readJSON[callbackBody](r)
	if err != nil {
		return err
	}
	if body.Epoch != nil && *body.Epoch != held.Epoch {
		return errEpochMismatch
	}
	switch {
	case body.Release:
		return a.handBack(w, r, held, body)
	case body.Done:
		return a.done(w, r, held, body)
	case body.WakeID != nil:
		return a.confirm(w, r, held, *body.WakeID)
	default:
		return a.heartbeat(w, r, held)
	}
}

// holder is the claim whose token the request carries. The token proves it, whatever else the request says.
func (a *API) holder(r *http.Request) (claim.Key, error) {
	c, err := a.options.Keyring.Verify(token.ClaimToken, "", claimSecret(r))
	if err != nil || c.Consumer != r.PathValue("consumer") || !a.sameTenant(r, c.Tenant) {
		return claim.Key{}, &UnauthorizedError{
			Why: "Invalid claim token: send the claimToken of this wake's claim in electric-claim-token or as a bearer",
		}
	}
	l := lineOf(r.Context())
	l.tenant = c.Tenant
	note(r.Context(), slog.String("consumer_id", c.Consumer), slog.Int64("epoch", c.Epoch))
	return claim.Key{Tenant: c.Tenant, Consumer: c.Consumer, Epoch: c.Epoch}, nil
}

func (a *API) confirm(w http.ResponseWriter, r *http.Request, held claim.Key, wakeID string) error {
	note(r.Context(), slog.String("callback", "confirm"))
	if wakeID != held.Consumer {
		return invalid("wakeId", "is not the wake of this claim: send the wakeId of its notification")
	}
	writeToken, err := a.options.Claims.Confirm(r.Context(), held)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		OK         bool   `json:"ok"`
		WriteToken string `json:"writeToken"`
	}{true, writeToken})
}

func (a *API) heartbeat(w http.ResponseWriter, r *http.Request, held claim.Key) error {
	note(r.Context(), slog.String("callback", "heartbeat"))
	lease, err := a.options.Claims.Heartbeat(r.Context(), held)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		OK       bool  `json:"ok"`
		NextWake bool  `json:"next_wake"`
		TTL      int64 `json:"lease_ttl_ms"`
		Next     int64 `json:"next_heartbeat_ms"`
	}{true, false, lease.TTL.Milliseconds(), lease.Next.Milliseconds()})
}

func (a *API) done(w http.ResponseWriter, r *http.Request, held claim.Key, body callbackBody) error {
	request := claim.DoneRequest{Key: held, Failed: body.Outcome == "failed"}
	if body.Outcome != "" && body.Outcome != "failed" && body.Outcome != "succeeded" {
		return invalid("outcome", "must be succeeded or failed")
	}
	for i, ack := range body.Acks {
		offset, err := stream.ParseOffset(ack.Offset)
		if err != nil || offset == stream.Now {
			return invalid(fmt.Sprintf("acks[%d].offset", i), "must be an offset that this server returned")
		}
		request.Acks = append(request.Acks, claim.Ack{Path: strings.TrimPrefix(ack.Path, "/"), Offset: int64(offset)})
	}
	outcome, err := a.options.Claims.Done(r.Context(), request)
	if err != nil {
		return err
	}
	note(r.Context(), slog.String("callback", "done"), slog.String("outcome", outcome))
	return writeJSON(w, http.StatusOK, struct {
		OK       bool `json:"ok"`
		NextWake bool `json:"next_wake"`
	}{true, false})
}
