package api

import (
	"encoding/json"
	"net/http"

	"github.com/wakelatch/wakelatch/server/entitytype"
)

type registerType struct {
	Name                  string          `json:"name"`
	Description           string          `json:"description"`
	CreationSchema        json.RawMessage `json:"creation_schema"`
	InboxSchemas          json.RawMessage `json:"inbox_schemas"`
	StateSchemas          json.RawMessage `json:"state_schemas"`
	DefaultDispatchPolicy json.RawMessage `json:"default_dispatch_policy"`
}

func (a *API) registerType(w http.ResponseWriter, r *http.Request) error {
	body, err := readJSON[registerType](r)
	if err != nil {
		return err
	}
	registered, created, err := a.options.Types.Register(r.Context(), entitytype.RegisterRequest{
		Tenant: caller(r).Tenant, Name: body.Name, Description: body.Description, CreationSchema: body.CreationSchema,
		InboxSchemas: body.InboxSchemas, StateSchemas: body.StateSchemas, DefaultDispatchPolicy: body.DefaultDispatchPolicy,
	})
	if err != nil {
		return err
	}
	if created {
		return writeJSON(w, http.StatusCreated, registered)
	}
	return writeJSON(w, http.StatusOK, registered)
}

func (a *API) listTypes(w http.ResponseWriter, r *http.Request) error {
	limit, err := queryInt(r, "limit")
	if err != nil {
		return err
	}
	types, more, err := a.options.Types.List(r.Context(), caller(r).Tenant, r.URL.Query().Get("after"), clampInt(limit))
	if err != nil {
		return err
	}
	answer := map[string]any{"entity_types": types}
	if more {
		answer["next_after"] = types[len(types)-1].Name
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *API) getType(w http.ResponseWriter, r *http.Request) error {
	found, err := a.options.Types.Get(r.Context(), caller(r).Tenant, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}
