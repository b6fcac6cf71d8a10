package api

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/wakelatch/wakelatch/server/claim"
)

type verifyBody struct {
	ConsumerID string `json:"consumer_id"`
	Epoch      int64  `json:"epoch"`
	WriteToken string `json:"write_token"`
}

type verifiedClaim struct {
	ConsumerID     string    `json:"consumer_id"`
	Epoch          int64     `json:"epoch"`
	EntityURL      string    `json:"entity_url"`
	StreamPath     string    `json:"stream_path"`
	RunnerID       string    `json:"runner_id"`
	Status         string    `json:"status"`
	ClaimedAt      time.Time `json:"claimed_at"`
	LeaseExpiresAt time.Time `json:"lease_expires_at"`
	LeaseRemaining int64     `json:"lease_remaining_ms"`
}

// verifyClaim says whether a claim is in force, for whoever is asked to do something in its name. The write
// token proves that the asker's peer holds it; it is in the body because the header may carry an API key.
func (a *API) verifyClaim(w http.ResponseWriter, r *http.Request) error {
	body, err := readJSON[verifyBody](r)
	if err != nil {
		return err
	}
	switch {
	case body.ConsumerID == "":
		return invalid("consumer_id", "is missing: send the consumerId of the claim")
	case body.Epoch <= 0:
		return invalid("epoch", "must be a whole number above zero")
	}
	note(r.Context(), slog.String("consumer_id", body.ConsumerID), slog.Int64("epoch", body.Epoch))
	v, err := a.options.Claims.Verify(r.Context(), claim.Key{
		Tenant: caller(r).Tenant, Consumer: body.ConsumerID, Epoch: body.Epoch,
	}, body.WriteToken)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, verifiedClaim{
		ConsumerID: v.Key.Consumer, Epoch: v.Key.Epoch, EntityURL: v.EntityURL, StreamPath: "/" + v.StreamPath,
		RunnerID: v.RunnerID, Status: "active", ClaimedAt: v.ClaimedAt,
		LeaseExpiresAt: v.LeaseExpiresAt, LeaseRemaining: v.LeaseRemaining.Milliseconds(),
	})
}
