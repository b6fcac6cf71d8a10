package api

import (
	"log/slog"
	"net/http"
	"strconv"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
)

// forceRelease takes a claim from its holder and answers what has become of it.
func (a *API) forceRelease(w http.ResponseWriter, r *http.Request) error {
	key, err := claimKey(r)
	if err != nil {
		return err
	}
	body, err := readJSON[actionBody](r)
	if err != nil {
		return err
	}
	if err := mustReason(body.Reason); err != nil {
		return err
	}
	note(r.Context(), slog.String("consumer_id", key.Consumer), slog.Int64("epoch", key.Epoch))
	c, err := a.options.Claims.ForceRelease(r.Context(), key, caller(r).Principal.URL(), body.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewClaim(c))
}

// claimKey is the claim that the path names, of the caller's tenant.
func claimKey(r *http.Request) (claim.Key, error) {
	epoch, err := strconv.ParseInt(r.PathValue("epoch"), 10, 64)
	if err != nil || epoch <= 0 {
		return claim.Key{}, invalid("epoch", "must be a whole number above zero")
	}
	return claim.Key{Tenant: caller(r).Tenant, Consumer: r.PathValue("consumer"), Epoch: epoch}, nil
}

// handBack ends the claim for its holder without acknowledging anything.
func (a *API) handBack(w http.ResponseWriter, r *http.Request, held claim.Key, body callbackBody) error {
	note(r.Context(), slog.String("callback", "release"))
	switch {
	case body.Done:
		return invalid("release", "and done exclude each other: a hand-back acknowledges nothing")
	case len(body.Acks) > 0:
		return invalid("acks", "must be empty in a hand-back: send done instead if input was handled")
	}
	if err := mayReason(body.Reason); err != nil {
		return err
	}
	wakeOut, err := a.options.Claims.HandBack(r.Context(), held, body.Reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		OK       bool `json:"ok"`
		NextWake bool `json:"next_wake"`
	}{true, wakeOut})
}

// unpark lets an entity be woken again that failures had parked.
func (a *API) unpark(w http.ResponseWriter, r *http.Request) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	body, err := readJSON[actionBody](r)
	if err != nil {
		return err
	}
	if err := mustReason(body.Reason); err != nil {
		return err
	}
	note(r.Context(), slog.String("entity_url", url))
	changed, err := a.options.Entities.Unpark(r.Context(), entity.UnparkRequest{
		Tenant: caller(r).Tenant, EntityURL: url, Actor: caller(r).Principal.URL(), Reason: body.Reason,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, changed)
}
