package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/wakelatch/wakelatch/server/entity"
)

// changedEntity is the answer of every operation that changes an entity: the entity, and the id that the
// change's event carries in the entity's stream.
type changedEntity struct {
	entity.Entity
	TxID string `json:"txid"`
}

type spawnEntity struct {
	Args           json.RawMessage `json:"args"`
	Tags           json.RawMessage `json:"tags"`
	DispatchPolicy json.RawMessage `json:"dispatch_policy"`
	InitialMessage json.RawMessage `json:"initialMessage"`
}

func (a *API) spawnEntity(w http.ResponseWriter, r *http.Request) error {
	body, err := readJSON[spawnEntity](r)
	if err != nil {
		return err
	}
	who := caller(r)
	made, txid, err := a.options.Entities.Spawn(r.Context(), entity.SpawnRequest{
		Tenant: who.Tenant, Type: r.PathValue("type"), ID: r.PathValue("id"), Principal: who.Principal.URL(),
		Args: body.Args, Tags: body.Tags, DispatchPolicy: body.DispatchPolicy, InitialMessage: body.InitialMessage,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, changedEntity{made, txid})
}

// getEntity answers at once, or with live=long-poll when the entity has a newer version than the one named.
func (a *API) getEntity(w http.ResponseWriter, r *http.Request) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	tenant := caller(r).Tenant
	var found entity.Entity
	switch live := r.URL.Query().Get("live"); live {
	case "":
		found, err = a.options.Entities.Get(r.Context(), tenant, url)
	case "long-poll":
		version, invalid := queryInt(r, "version")
		if invalid != nil {
			return invalid
		}
		if found, err = a.options.Entities.Wait(r.Context(), tenant, url, version); err == nil {
			err = a.still(r)
		}
	default:
		return invalid("live", "must be long-poll")
	}
	// A wait that the node's stop ends is answered like one whose time is up: the caller asks again, another node.
	if errors.Is(err, entity.ErrTimeout) || (waits(r) && errors.Is(err, context.Canceled)) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

func (a *API) listEntities(w http.ResponseWriter, r *http.Request) error {
	limit, err := queryInt(r, "limit")
	if err != nil {
		return err
	}
	query := r.URL.Query()
	parked := query.Get("parked")
	if parked != "" && parked != "true" && parked != "false" {
		return invalid("parked", "must be true or false")
	}
	page, more, err := a.options.Entities.List(r.Context(), entity.ListRequest{
		Tenant: caller(r).Tenant, Type: query.Get("type"), Status: query.Get("status"),
		Runner: query.Get("runner"), Parked: parked == "true", After: query.Get("after"), Limit: clampInt(limit),
	})
	if err != nil {
		return err
	}
	answer := map[string]any{"entities": page}
	if more {
		answer["next_after"] = page[len(page)-1].URL
	}
	return writeJSON(w, http.StatusOK, answer)
}

type sendMessage struct {
	Payload json.RawMessage `json:"payload"`
	Key     string          `json:"key"`
	Type    string          `json:"type"`
	Mode    string          `json:"mode"`
	AfterMS int64           `json:"afterMs"`
}

// send delivers a message at once, or with afterMs accepts it for later.
func (a *API) send(w http.ResponseWriter, r *http.Request) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	body, err := readJSON[sendMessage](r)
	if err != nil {
		return err
	}
	if len(body.Payload) == 0 {
		return invalid("payload", "is missing: send any JSON value")
	}
	who := caller(r)
	note(r.Context(), slog.String("entity_url", url))
	message := entity.SendRequest{
		Tenant: who.Tenant, EntityURL: url, Principal: who.Principal.URL(),
		Key: body.Key, Type: body.Type, Mode: body.Mode, Payload: body.Payload,
	}
	if body.AfterMS != 0 {
		if err := a.options.Entities.SendLater(r.Context(), message, body.AfterMS); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	txid, err := a.options.Entities.Send(r.Context(), message)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"txid": txid})
}

type signalEntity struct {
	Signal string `json:"signal"`
	Reason string `json:"reason"`
}

func (a *API) signal(w http.ResponseWriter, r *http.Request) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	body, err := readJSON[signalEntity](r)
	if err != nil {
		return err
	}
	if err := mayReason(body.Reason); err != nil {
		return err
	}
	who := caller(r)
	note(r.Context(), slog.String("entity_url", url), slog.String("signal", body.Signal))
	changed, txid, err := a.options.Entities.Signal(r.Context(), entity.SignalRequest{
		Tenant: who.Tenant, EntityURL: url, Principal: who.Principal.URL(), Signal: body.Signal, Reason: body.Reason,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, changedEntity{changed, txid})
}

// entityURL is the entity that the path names.
func entityURL(r *http.Request) (string, error) {
	return entity.CheckURL(r.PathValue("type"), r.PathValue("id"))
}
