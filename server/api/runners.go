package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/wakelatch/wakelatch/server/runner"
)

type registerRunner struct {
	ID              string                  `json:"id"`
	OwnerPrincipal  string                  `json:"owner_principal"`
	Label           string                  `json:"label"`
	Kind            string                  `json:"kind"`
	AdminStatus     runner.AdminStatus      `json:"admin_status"`
	WakeStream      string                  `json:"wake_stream"`
	SandboxProfiles []runner.SandboxProfile `json:"sandbox_profiles"`
}

// registerRunner records a runner, or updates it; the answer has the wake stream offset it left behind.
func (a *API) registerRunner(w http.ResponseWriter, r *http.Request) error {
	body, err := readJSON[registerRunner](r)
	if err != nil {
		return err
	}
	who := caller(r)
	owner := who.Principal
	if body.OwnerPrincipal != "" {
		if owner, err = ParsePrincipal(body.OwnerPrincipal); err != nil {
			return invalid("owner_principal", "must read kind:id or /principal/kind%3Aid")
		}
	}
	if owner != who.Principal && !who.Allows(RoleAdmin) {
		return errNotOwner
	}
	registered, err := a.options.Runners.Register(r.Context(), runner.RegisterRequest{
		Tenant: who.Tenant, ID: body.ID, Owner: owner.URL(), Label: body.Label, Kind: body.Kind,
		AdminStatus: body.AdminStatus, WakeStream: body.WakeStream, SandboxProfiles: body.SandboxProfiles,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, registered)
}

func (a *API) listRunners(w http.ResponseWriter, r *http.Request) error {
	limit, err := queryInt(r, "limit")
	if err != nil {
		return err
	}
	query, who := r.URL.Query(), caller(r)
	request := runner.ListRequest{Tenant: who.Tenant, After: query.Get("after"), Limit: clampInt(limit)}
	if owner := query.Get("owner_principal"); owner != "" {
		principal, err := ParsePrincipal(owner)
		if err != nil {
			return invalid("owner_principal", "must read kind:id or /principal/kind%3Aid")
		}
		request.Owner = principal.URL()
	}
	if !who.Allows(RoleAdmin) {
		request.Owner = who.Principal.URL()
	}
	runners, more, err := a.options.Runners.List(r.Context(), request)
	if err != nil {
		return err
	}
	answer := map[string]any{"runners": runners}
	if more {
		answer["next_after"] = runners[len(runners)-1].ID
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (a *API) getRunner(w http.ResponseWriter, r *http.Request) error {
	found, err := a.ownRunner(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

// setRunner makes the handler that enables, drains or disables a runner. The published client sends no body, so the
// reason may be left out.
func (a *API) setRunner(status runner.AdminStatus) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := a.ownRunner(r); err != nil {
			return err
		}
		body, err := readJSON[actionBody](r)
		if err != nil {
			return err
		}
		if err := mayReason(body.Reason); err != nil {
			return err
		}
		changed, err := a.options.Runners.SetAdminStatus(r.Context(), runner.StatusRequest{
			Tenant: caller(r).Tenant, ID: r.PathValue("id"), Status: status, Actor: caller(r).Principal.URL(), Reason: body.Reason,
		})
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, changed)
	}
}

// deleteRunner removes a runner, whose entities wait for another of its id or for being moved.
func (a *API) deleteRunner(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.ownRunner(r); err != nil {
		return err
	}
	body, err := readJSON[actionBody](r)
	if err != nil {
		return err
	}
	if err := mustReason(body.Reason); err != nil {
		return err
	}
	if err := a.options.Runners.Delete(r.Context(), runner.DeleteRequest{
		Tenant: caller(r).Tenant, ID: r.PathValue("id"), Actor: caller(r).Principal.URL(), Reason: body.Reason,
	}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type runnerHeartbeat struct {
	LeaseMS          int64           `json:"lease_ms"`
	WakeStreamOffset string          `json:"wake_stream_offset"`
	Diagnostics      json.RawMessage `json:"diagnostics"`
}

// maxMilliseconds keeps a number of milliseconds from overflowing a duration.
const maxMilliseconds = int64(365 * 24 * time.Hour / time.Millisecond)

func (a *API) heartbeatRunner(w http.ResponseWriter, r *http.Request) error {
	body, err := readJSON[runnerHeartbeat](r)
	if err != nil {
		return err
	}
	if body.LeaseMS < 0 || body.LeaseMS > maxMilliseconds {
		return invalid("lease_ms", "must be a number of milliseconds, at most a day's")
	}
	if _, err := a.ownRunner(r); err != nil {
		return err
	}
	beaten, err := a.options.Runners.Heartbeat(r.Context(), runner.HeartbeatRequest{
		Tenant: caller(r).Tenant, ID: r.PathValue("id"), Lease: time.Duration(body.LeaseMS) * time.Millisecond,
		WakeStreamOffset: body.WakeStreamOffset, Diagnostics: body.Diagnostics,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, beaten)
}

func (a *API) runnerHealth(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.ownRunner(r); err != nil {
		return err
	}
	health, err := a.options.Runners.Health(r.Context(), caller(r).Tenant, r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, health)
}

// ownRunner is the runner of the path, if the caller owns it or may do everything.
func (a *API) ownRunner(r *http.Request) (runner.Runner, error) {
	who := caller(r)
	found, err := a.options.Runners.Get(r.Context(), who.Tenant, r.PathValue("id"))
	if err != nil {
		return runner.Runner{}, err
	}
	if found.OwnerPrincipal != who.Principal.URL() && !who.Allows(RoleAdmin) {
		return runner.Runner{}, errNotOwner
	}
	return found, nil
}
