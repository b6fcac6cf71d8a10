package openapitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

// Transport sends requests with next and holds what came of them against the document. What differs fails the test,
// which goes on.
func Transport(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	d, err := once()
	if err != nil {
		tb.Fatal(err)
	}
	return &transport{document: d, next: next, report: func(err error) { tb.Error(err) }}
}

// Client is an HTTP client of its own for a test, with its transport held against the document.
func Client(tb testing.TB) *http.Client {
	tb.Helper()
	own := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(own.CloseIdleConnections)
	return &http.Client{Transport: Transport(tb, own)}
}

type transport struct {
	document *Document
	next     http.RoundTripper
	report   func(error)
}

// CloseIdleConnections is for http.Client.
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// RoundTrip sends the request. An answer that breaks off is passed on as it came: what is missing is not the document's.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	endless := strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream")
	var body []byte
	if !endless {
		var broken error
		body, broken = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		answer.Body = io.NopCloser(&rest{Reader: bytes.NewReader(body), end: broken})
		if broken != nil {
			return answer, nil //nolint:nilerr // the caller meets the error where the body breaks off
		}
	}
	if err := t.document.check(r, answer, body, endless); err != nil {
		t.report(fmt.Errorf("%s %s answered %d, which docs/openapi.yaml does not describe: %w\n%.2000s",
			r.Method, r.URL.RequestURI(), answer.StatusCode, err, body))
	}
	return answer, nil
}

// rest reads what was read already, and then the error that ended it.
type rest struct {
	*bytes.Reader
	end error
}

func (r *rest) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) && r.end != nil {
		err = r.end
	}
	return n, err
}

func (d *Document) check(r *http.Request, answer *http.Response, body []byte, endless bool) error {
	route, values := d.find(r.Method, r.URL.EscapedPath())
	if route == nil {
		return d.checkAbsent(r, answer, body)
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r.Clone(context.Background()), PathParams: values, Route: route, QueryParams: r.URL.Query(),
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
			// A stream's content is its writers'.
			ExcludeResponseBody: endless || r.Method == http.MethodHead,
		},
	}
	in.Options.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string {
		return strings.Join(err.JSONPointer(), ".") + ": " + err.Reason
	})
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: answer.StatusCode, Header: answer.Header, Options: in.Options,
		Body: io.NopCloser(bytes.NewReader(body)),
	}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		return err
	}
	if err := undescribed(route.Operation, answer, body); err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	if err := requestBody(r, in); err != nil {
		return err
	}
	if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
		return fmt.Errorf("the request: %w", err)
	}
	return undescribedQuery(route, r)
}

// checkAbsent is for a path or a method that the document does not have.
func (d *Document) checkAbsent(r *http.Request, answer *http.Response, body []byte) error {
	absent := []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusForbidden, http.StatusServiceUnavailable}
	if !slices.Contains(absent, answer.StatusCode) {
		return errors.New("it has no such path and method")
	}
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := url.Parse(r.URL.RequestURI()); err != nil && answer.StatusCode == http.StatusBadRequest {
		// What is no URL is refused by the server below all routes, and not in JSON.
		return nil
	}
	return d.checkError(body)
}

func requestBody(r *http.Request, in *openapi3filter.RequestValidationInput) error {
	described := in.Route.Operation.RequestBody
	if r.GetBody == nil || described == nil || described.Value.Content["*/*"] != nil {
		in.Options.ExcludeRequestBody = true
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return fmt.Errorf("read the request again: %w", err)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read the request again: %w", err)
	}
	in.Request.Body = io.NopCloser(bytes.NewReader(text))
	// A body is read as JSON whatever its type says; none at all is an empty object.
	in.Options.ExcludeRequestBody = len(text) == 0
	in.Request.Header.Set("Content-Type", "application/json")
	return nil
}
