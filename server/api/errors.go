package api

import (
	"context"
	"errors"
	"net/http"
)

// Failures of this package's own.
var (
	errNoRoute = errors.New("there is nothing under this path")
	// The connection is closed with it: the rest of the body would be taken for the next request.
	errSlowBody = errors.New("the body did not arrive in time")
	errMethod   = errors.New("this path does not take that method; the Allow header names those it takes")
	// Nothing changes with it: the token is of another claim than the body speaks of.
	errEpochMismatch = errors.New("the epoch is not the claim token's; leave it out, or send the token of that epoch")
	errNotOwner      = errors.New("the runner belongs to another principal")
)

// What is said of failures whose own text is not for the caller.
const (
	stopping = "this node is stopping; ask another one"
	away     = "the database is away or busy; try again: what has a key, a token or a producer is not done twice"
	internal = "something went wrong on the server; its log has the cause under the request id"
)

// row says how one kind of failure is told on the wire.
type row struct {
	// name is the domain error's, as package.Name; the error table's test looks for it.
	name   string
	match  func(error) (error, bool)
	status int
	// code is what programs read. A func of the error where the error knows its own.
	code func(error) string
	// message replaces the error's text, for failures whose text is not for the caller.
	message string
	// header and details add what the answer needs beyond code and message.
	header  func(http.Header, error)
	details func(error) map[string]any
}

// is is a row for one error value.
func is(name string, target error, status int, code string, more ...func(*row)) row {
	return build(row{name: name, status: status, code: fixed(code), match: func(err error) (error, bool) {
		return target, errors.Is(err, target)
	}}, more)
}

// as is a row for one error type.
func as[E error](name string, status int, code string, more ...func(*row)) row {
	return build(row{name: name, status: status, code: fixed(code), match: func(err error) (error, bool) {
		found, ok := errors.AsType[E](err)
		return found, ok
	}}, more)
}

func build(r row, more []func(*row)) row {
	for _, change := range more {
		change(&r)
	}
	return r
}

func fixed(code string) func(error) string { return func(error) string { return code } }

// say replaces the error's text.
func say(message string) func(*row) { return func(r *row) { r.message = message } }

// tell adds details taken from an error of the row's type.
func tell[E error](details func(E) map[string]any) func(*row) {
	return func(r *row) {
		r.details = func(err error) map[string]any {
			if found, ok := errors.AsType[E](err); ok {
				return details(found)
			}
			return nil
		}
	}
}

// field adds the name of the field that is wrong.
func field[E error](name func(E) string) func(*row) {
	return tell(func(err E) map[string]any { return map[string]any{"field": name(err)} })
}

// send sets headers from an error of the row's type.
func send[E error](set func(http.Header, E)) func(*row) {
	return func(r *row) {
		r.header = func(h http.Header, err error) {
			if found, ok := errors.AsType[E](err); ok {
				set(h, found)
			}
		}
	}
}

// again sends Retry-After.
func again(seconds string) func(*row) { return func(r *row) { r.header = retryAfter(seconds) } }

// prove says in a header how a caller proves who it is.
func prove() func(*row) { return func(r *row) { r.header = challenge } }

// answer is what a failure looks like to the caller.
type answer struct {
	Status  int            `json:"-"`
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details,omitempty"`
	header  func(http.Header, error)
	hidden  bool
}

// explain finds the row of a failure.
func (a *API) explain(r *http.Request, err error) answer {
	for _, candidate := range a.table {
		found, ok := candidate.match(err)
		if !ok {
			continue
		}
		out := answer{Status: candidate.status, Code: candidate.code(err), Message: err.Error(), header: candidate.header}
		if candidate.details != nil {
			out.Details = candidate.details(err)
		}
		switch {
		case candidate.message != "":
			out.Message = candidate.message
		case fromStore(err):
			out.Message = found.Error()
		}
		return out
	}
	if cause := context.Cause(r.Context()); cause != nil && errors.Is(err, context.Canceled) {
		return answer{Status: http.StatusServiceUnavailable, Code: "DRAINING", Message: stopping, header: retryAfter("1")}
	}
	if a.options.IsUnavailable(err) || errors.Is(err, context.DeadlineExceeded) {
		return answer{Status: http.StatusServiceUnavailable, Code: "UNAVAILABLE", Message: away, header: retryAfter("1")}
	}
	return answer{Status: http.StatusInternalServerError, Code: "INTERNAL", Message: internal, hidden: true}
}

func retryAfter(seconds string) func(http.Header, error) {
	return func(h http.Header, _ error) { h.Set("Retry-After", seconds) }
}

// fromStore says whether the driver spoke anywhere in the error. Its text names tables and values of
// ours, so an answer then shows the domain error alone.
func fromStore(err error) bool {
	var driver interface{ SQLState() string }
	return errors.As(err, &driver)
}

// fail writes the answer to a failure. It is the only writer of errors.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	said := a.bearable(w.Header(), r, a.explain(r, err))
	l := lineOf(r.Context())
	l.err, l.hidden = err, said.hidden
	if rec, ok := w.(*recorder); ok && rec.status != 0 {
		return
	}
	if said.header != nil {
		said.header(w.Header(), err)
	}
	w.Header().Del("Content-Length")
	if failed := writeJSON(w, said.Status, map[string]answer{"error": said}); failed != nil {
		l.err = errors.Join(err, failed)
	}
}
