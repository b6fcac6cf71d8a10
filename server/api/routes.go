package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// route is one line of the route table.
type route struct {
	method   string
	template string
	access   access
	handle   handlerFunc
}

// routes is every route of a node.
func (a *API) routes() []route {
	return []route{
		{"GET", "/healthz", open, a.healthz},
		{"HEAD", "/healthz", open, a.healthz},
		{"GET", "/readyz", open, a.readyz},
		{"HEAD", "/readyz", open, a.readyz},
		{"GET", "/metrics", open, a.serveMetrics()},
	}
}

// wildPath is the one variable that spans segments. Its value stays percent-encoded: whoever takes a
// path apart must see which slashes were sent as slashes.
const wildPath = "path"

// newRouter holds all of what is used of mux, whose defaults would match an encoded slash as a slash,
// redirect a doubled one, and send a 405 without Allow.
func newRouter(a *API) http.Handler {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	for _, rt := range a.routes() {
		added := router.Handle(rt.template, a.pathValues(a.adapt(rt))).Methods(rt.method)
		if strings.HasPrefix(rt.template, "/{") {
			added.MatcherFunc(outsideReserved)
		}
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
