package api

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/wakelatch/wakelatch/server/entity"
)

type moveEntity struct {
	DispatchPolicy json.RawMessage `json:"dispatch_policy"`
	Reason         string          `json:"reason"`
}

// moveEntity gives an entity to another runner.
func (a *API) moveEntity(w http.ResponseWriter, r *http.Request) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	body, err := readJSON[moveEntity](r)
	if err != nil {
		return err
	}
	if err := mustReason(body.Reason); err != nil {
		return err
	}
	note(r.Context(), slog.String("entity_url", url))
	moved, err := a.options.Entities.Move(r.Context(), entity.MoveRequest{
		Tenant: caller(r).Tenant, EntityURL: url, DispatchPolicy: body.DispatchPolicy,
		Actor: caller(r).Principal.URL(), Reason: body.Reason,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, moved)
}

// deleteEntity removes an entity and its stream.
func (a *API) deleteEntity(w http.ResponseWriter, r *http.Request) error {
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
	if err := a.options.Entities.Delete(r.Context(), entity.DeleteRequest{
		Tenant: caller(r).Tenant, EntityURL: url, Actor: caller(r).Principal.URL(), Reason: body.Reason,
	}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
