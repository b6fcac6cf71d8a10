package api

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// errDraining is the answer of a node that wants no traffic.
var errDraining = errors.New("this node is starting or draining; use another one")

// healthz answers as long as the process does.
func (a *API) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether a balancer should send requests here. It does not look at the database, whose
// blip must not take every node out at once.
func (a *API) readyz(w http.ResponseWriter, _ *http.Request) error {
	if !a.options.Ready() {
		return errDraining
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (a *API) serveMetrics() handlerFunc {
	metrics := promhttp.HandlerFor(a.options.Gatherer, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request) error {
		metrics.ServeHTTP(w, r)
		return nil
	}
}
