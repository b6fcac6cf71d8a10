package api

import (
	"net/http"

	"github.com/wakelatch/wakelatch/server/inspect"
)

// pageOf is a page of a list: the rows under their name, and the cursor of the next page if there is one.
func pageOf[T any](name string, rows []T, next string) map[string]any {
	answer := map[string]any{name: rows}
	if next != "" {
		answer["next_after"] = next
	}
	return answer
}

func (a *API) listClaims(w http.ResponseWriter, r *http.Request) error {
	limit, err := queryInt(r, "limit")
	if err != nil {
		return err
	}
	query := r.URL.Query()
	claims, next, err := a.options.Inspect.Claims(r.Context(), inspect.ClaimsRequest{
		Tenant: caller(r).Tenant, Status: query.Get("status"), Entity: query.Get("entity"), Runner: query.Get("runner"),
		After: query.Get("after"), Limit: clampInt(limit),
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, pageOf("claims", claims, next))
}

// showClaim is one claim with its lease.
func (a *API) showClaim(w http.ResponseWriter, r *http.Request) error {
	key, err := claimKey(r)
	if err != nil {
		return err
	}
	found, err := a.options.Inspect.Claim(r.Context(), key.Tenant, key.Consumer, key.Epoch)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

func (a *API) entityDispatch(w http.ResponseWriter, r *http.Request) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	found, err := a.options.Inspect.Dispatch(r.Context(), caller(r).Tenant, url)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

func (a *API) entityHistory(w http.ResponseWriter, r *http.Request) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	request, err := historyOf(r, url)
	if err != nil {
		return err
	}
	events, next, err := a.options.Inspect.EntityHistory(r.Context(), request)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, pageOf("events", events, next))
}

func (a *API) runnerHistory(w http.ResponseWriter, r *http.Request) error {
	request, err := historyOf(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	events, next, err := a.options.Inspect.RunnerHistory(r.Context(), request)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, pageOf("events", events, next))
}

func historyOf(r *http.Request, subject string) (inspect.HistoryRequest, error) {
	limit, err := queryInt(r, "limit")
	return inspect.HistoryRequest{
		Tenant: caller(r).Tenant, Subject: subject, After: r.URL.Query().Get("after"), Limit: clampInt(limit),
	}, err
}
