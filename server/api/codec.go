package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wakelatch/wakelatch/server/strictjson"
)

// InvalidError is a request with a wrong value.
type InvalidError struct {
	// Field is where: a JSON field, a query parameter, a header or a part of the path.
	Field string
	// Why says what is wrong with it, and reads on from its name.
	Why string
}

// Error names the field first.
func (e *InvalidError) Error() string { return e.Field + " " + e.Why }

func invalid(field, why string) error { return &InvalidError{Field: field, Why: why} }

func invalidf(field, format string, args ...any) error {
	return invalid(field, fmt.Sprintf(format, args...))
}

// readJSON reads the request's body as one JSON object into a T. No body at all is an empty object.
// Fields that T does not have are ignored.
func readJSON[T any](r *http.Request) (T, error) {
	var into T
	body, err := readBody(r)
	if err != nil {
		return into, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return into, nil
	}
	if err := takeJSON(r.Header.Get("Content-Type")); err != nil {
		return into, err
	}
	if why := storable(body); why != "" {
		return into, invalid("body", why)
	}
	if err := strictjson.Unmarshal(body, &into); err != nil {
		return into, jsonError(err)
	}
	if bytes.TrimSpace(body)[0] != '{' {
		return into, invalid("body", "must be a JSON object")
	}
	return into, nil
}

// bodyError tells a body that is too large or too slow from one that broke off.
func bodyError(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &TooLargeError{Limit: tooLarge.Limit}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlowBody
	}
	return invalid("body", "ended before it was complete")
}

func jsonError(err error) error {
	if twice, ok := errors.AsType[*strictjson.DuplicateError](err); ok {
		return invalid(twice.Field, "is given more than once")
	}
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := wrongType.Field
		if field == "" {
			field = "body"
		}
		return invalidf(field, "must be %s, not %s", kindName(wrongType.Type.Kind().String()), wrongType.Value)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return invalidf("body", "is not JSON (at byte %d)", syntax.Offset)
	}
	return invalid("body", "is not JSON")
}

// kindName is a Go kind in the words of JSON.
func kindName(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64":
		return "a whole number"
	case "float32", "float64":
		return "a number"
	case "slice", "array":
		return "an array"
	}
	return "an object"
}

// writeJSON writes an answer.
func writeJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	return nil
}

// readableQuery refuses a query that means nothing, or that no text in the database can equal. Only reads have a query.
func readableQuery(r *http.Request) error {
	if r.URL.RawQuery == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("query", "is not valid: percent-encode what a name or a value cannot have")
	}
	for name, values := range query {
		for _, value := range append(values, name) {
			switch {
			case !utf8.ValidString(value):
				return invalidf("query", "is not UTF-8 at %q", name)
			case strings.ContainsRune(value, 0):
				return invalidf("query", "must not contain NUL, as it does at %q", name)
			}
		}
	}
	return nil
}

// queryInt reads a whole number from the query; absent is zero.
func queryInt(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid(name, "must be a whole number, zero or more")
	}
	return n, nil
}

// clampInt is a page's length as the services take it; they bound it themselves.
func clampInt(n int64) int { return int(min(n, math.MaxInt32)) }
