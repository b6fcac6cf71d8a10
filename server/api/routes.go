package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/wakelatch/wakelatch/server/runner"
)

// route is one line of the route table.
type route struct {
	method   string
	template string
	access   access
	handle   handlerFunc
}

// label is the template as logs and metrics show it.
func (rt route) label() string { return strings.ReplaceAll(rt.template, ":.+}", "}") }

// routes is every route of a node.
func (a *API) routes() []route {
	return []route{
		{"GET", "/healthz", open, a.healthz},
		{"HEAD", "/healthz", open, a.healthz},
		{"GET", "/readyz", open, a.readyz},
		{"HEAD", "/readyz", open, a.readyz},
		{"GET", metricsPath, open, a.serveMetrics()},

		{"POST", "/_electric/runners", asRunner, a.registerRunner},
		{"GET", "/_electric/runners", asViewer, a.listRunners},
		{"GET", "/_electric/runners/{id}", asViewer, a.getRunner},
		{"DELETE", "/_electric/runners/{id}", asRunner, a.deleteRunner},
		{"POST", "/_electric/runners/{id}/enable", asRunner, a.setRunner(runner.Enabled)},
		{"POST", "/_electric/runners/{id}/drain", asRunner, a.setRunner(runner.Draining)},
		{"POST", "/_electric/runners/{id}/disable", asRunner, a.setRunner(runner.Disabled)},
		{"POST", "/_electric/runners/{id}/heartbeat", asRunner, a.heartbeatRunner},
		{"GET", "/_electric/runners/{id}/health", asRunner, a.runnerHealth},
		{"POST", "/_electric/runners/{id}/claim", asRunner, a.claimWake},
		{"GET", "/_electric/runners/{id}/history", asViewer, a.runnerHistory},

		{"GET", "/_electric/claims", asViewer, a.listClaims},
		{"GET", "/_electric/claims/{consumer}/{epoch}", asViewer, a.showClaim},
		{"POST", "/_electric/claims/{consumer}/{epoch}/release", asAdmin, a.forceRelease},
		{"POST", "/_electric/claims/verify", asViewer, a.verifyClaim},
		{"POST", callbackPath + "/{consumer}", admitted, a.callback},

		{"POST", "/_electric/entity-types", asRunner, a.registerType},
		{"GET", "/_electric/entity-types", asViewer, a.listTypes},
		{"GET", "/_electric/entity-types/{name}", asViewer, a.getType},

		{"GET", "/_electric/entities", asViewer, a.listEntities},
		{"PUT", "/_electric/entities/{type}/{id}", asClient, a.spawnEntity},
		{"GET", "/_electric/entities/{type}/{id}", asViewer, a.getEntity},
		{"GET", "/_electric/entities/{type}/{id}/dispatch", asViewer, a.entityDispatch},
		{"GET", "/_electric/entities/{type}/{id}/history", asViewer, a.entityHistory},
		{"DELETE", "/_electric/entities/{type}/{id}", asAdmin, a.deleteEntity},
		{"PUT", "/_electric/entities/{type}/{id}/dispatch-policy", asAdmin, a.moveEntity},
		{"POST", "/_electric/entities/{type}/{id}/send", asClient, a.send},
		{"POST", "/_electric/entities/{type}/{id}/signal", asClient, a.signal},
		{"POST", "/_electric/entities/{type}/{id}/unpark", asAdmin, a.unpark},
		{"POST", "/_electric/entities/{type}/{id}/tags/{key}", admitted, a.setTag},
		{"DELETE", "/_electric/entities/{type}/{id}/tags/{key}", admitted, a.deleteTag},

		{"PUT", "/v1/stream/{path:.+}", admitted, a.anyStream(a.createStream)},
		{"POST", "/v1/stream/{path:.+}", admitted, a.anyStream(a.appendStream)},
		{"GET", "/v1/stream/{path:.+}", admitted, a.anyStream(a.readStream)},
		{"HEAD", "/v1/stream/{path:.+}", admitted, a.anyStream(a.headStream)},
		{"DELETE", "/v1/stream/{path:.+}", admitted, a.anyStream(a.deleteStream)},

		// The streams of entities, /{type}/{id}/main, and of runners, /runners/{id}/wake.
		{"PUT", "/{path:.+}", admitted, a.ownedStream(a.createStream)},
		{"POST", "/{path:.+}", admitted, a.ownedStream(a.appendStream)},
		{"GET", "/{path:.+}", admitted, a.ownedStream(a.readStream)},
		{"HEAD", "/{path:.+}", admitted, a.ownedStream(a.headStream)},
		{"DELETE", "/{path:.+}", admitted, a.ownedStream(a.deleteStream)},
	}
}

const metricsPath = "/metrics"

// wildPath is the one variable that spans segments. Its value stays percent-encoded: whoever takes a
// path apart must see which slashes were sent as slashes.
const wildPath = "path"

// newRouter holds all of what is used of mux, whose defaults would match an encoded slash as a slash,
// redirect a doubled one, and send a 405 without Allow.
func newRouter(a *API, mounted func(route) bool) http.Handler {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	for _, rt := range a.routes() {
		if !mounted(rt) {
			continue
		}
		added := router.NewRoute()
		if strings.HasPrefix(rt.template, "/{") {
			// Before the path: a route that fails after its path matched makes mux forget that an earlier one
			// took the path under another method.
			added.MatcherFunc(outsideReserved)
		}
		added.Path(rt.template).Methods(rt.method).Handler(a.pathValues(a.adapt(rt)))
	}
	router.NotFoundHandler = a.adapt(route{access: admitted, template: unmatched, handle: func(http.ResponseWriter, *http.Request) error {
		return errNoRoute
	}})
	router.MethodNotAllowedHandler = a.adapt(route{access: admitted, template: unmatched, handle: func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Allow", strings.Join(allowed(router, r), ", "))
		return errMethod
	}})
	return router
}

// pathValues hands the variables of the path on as the request's path values, each decoded once.
func (a *API) pathValues(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, raw := range mux.Vars(r) {
			if name == wildPath {
				r.SetPathValue(name, raw)
				continue
			}
			value, err := url.PathUnescape(raw)
			if err != nil {
				a.fail(w, r, invalid(name, "is not valid percent-encoding"))
				return
			}
			r.SetPathValue(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// reserved are the first segments that belong to routes of their own, so that an unknown path below
// them is not taken for a stream.
var reserved = map[string]bool{
	"_electric": true, "v1": true, "healthz": true, "readyz": true, "metrics": true, "principal": true, "console": true,
}

func outsideReserved(r *http.Request, _ *mux.RouteMatch) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	name, err := url.PathUnescape(first)
	return err == nil && !reserved[name]
}

// allowed are the methods that the request's path takes.
func allowed(router *mux.Router, r *http.Request) []string {
	var out []string
	for _, method := range methods {
		other := r.Clone(r.Context())
		other.Method = method
		var match mux.RouteMatch
		if router.Match(other, &match) && match.MatchErr == nil {
			out = append(out, method)
		}
	}
	slices.Sort(out)
	return out
}
