package api

import (
	"net/http"
	"net/http/httptest"
)

// ErrorNames are the names of the rows of the error table.
func ErrorNames() []string {
	var names []string
	for _, r := range table() {
		names = append(names, r.name)
	}
	return names
}

// ErrorCodes are the codes of the error table's rows, and those that need no row. An error that knows its own code is
// not asked.
func ErrorCodes() []string {
	codes := []string{"DRAINING", "UNAVAILABLE", "INTERNAL"}
	for _, r := range table() {
		if r.name != "api.ForbiddenError" {
			codes = append(codes, r.code(nil))
		}
	}
	return codes
}

// Answer is how a failure is answered.
func (a *API) Answer(err error) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a.fail(w, httptest.NewRequest(http.MethodGet, "/", nil), err) //nolint:noctx // nothing waits for it
	return w
}

// Routes is the route table as "METHOD template".
func Routes() []string {
	var lines []string
	for _, rt := range (&API{}).routes() {
		lines = append(lines, rt.method+" "+rt.template)
	}
	return lines
}

// RouteAccess is what each route asks of its caller: anybody, a role, or handler for one whose handler looks itself.
func RouteAccess() map[string]string {
	asked := map[string]string{}
	for _, rt := range (&API{}).routes() {
		need := string(rt.access.role())
		switch rt.access {
		case open:
			need = "anybody"
		case admitted:
			need = "handler"
		case asViewer, asClient, asRunner, asAdmin:
		}
		asked[rt.method+" "+rt.label()] = need
	}
	return asked
}
