package openapitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// everywhere are the headers of HTTP itself, and those that every answer has.
var everywhere = []string{
	"Content-Type", "Content-Length", "Date", "Connection", "Transfer-Encoding", "Cache-Control", "Vary",
	"X-Content-Type-Options", "X-Request-Id", "Cross-Origin-Resource-Policy", "X-Accel-Buffering", "Content-Encoding",
}

// undescribed finds what an answer has beyond what the document says: a header, or a body where there is none.
func undescribed(operation *openapi3.Operation, answer *http.Response, body []byte) error {
	described := operation.Responses.Status(answer.StatusCode)
	if described == nil {
		return fmt.Errorf("it has no status %d for this", answer.StatusCode)
	}
	for name := range answer.Header {
		if slices.Contains(everywhere, name) {
			continue
		}
		known := false
		for told := range described.Value.Headers {
			known = known || http.CanonicalHeaderKey(told) == name
		}
		if !known {
			return fmt.Errorf("it has no header %s for this", name)
		}
	}
	if len(body) > 0 && len(described.Value.Content) == 0 {
		return errors.New("it has no body for this")
	}
	return nil
}

// undescribedQuery finds a parameter that the document does not have.
func undescribedQuery(route *routers.Route, r *http.Request) error {
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil &&
			route.PathItem.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			return fmt.Errorf("it has no query parameter %q for this", name)
		}
	}
	return nil
}

// checkError holds a body against the form of every error.
func (d *Document) checkError(body []byte) error {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("the error is not JSON: %w", err)
	}
	form := d.spec.Components.Schemas["Error"]
	if form == nil {
		return errors.New("it has no schema Error")
	}
	if err := form.Value.VisitJSON(value); err != nil {
		return fmt.Errorf("the error has another form: %s", strings.TrimSpace(err.Error()))
	}
	return nil
}
