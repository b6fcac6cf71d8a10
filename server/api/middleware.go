package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
)

// unmatched is the route of a request that no route took.
const unmatched = "unmatched"

const (
	requestIDHeader = "X-Request-Id"
	maxRequestID    = 128
)

// line is what the log says about a request, filled on the way.
type line struct {
	requestID string
	route     string
	tenant    string
	principal string
	attrs     []slog.Attr
	err       error
	hidden    bool
}

type lineKey struct{}

func lineOf(ctx context.Context) *line {
	if l, ok := ctx.Value(lineKey{}).(*line); ok {
		return l
	}
	return &line{}
}

// note adds what a handler learned to the request's log line.
func note(ctx context.Context, attrs ...slog.Attr) {
	l := lineOf(ctx)
	l.attrs = append(l.attrs, attrs...)
}

// observe is around every request: its id, its log line, its metrics, and a panic's end.
func (a *API) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		l := &line{requestID: requestID(r), route: unmatched}
		w.Header().Set(requestIDHeader, l.requestID)
		rec := &recorder{ResponseWriter: w}
		r = r.WithContext(context.WithValue(r.Context(), lineKey{}, l))
		defer func() {
			aborted := a.recovered(rec, r, recover())
			a.finish(r, rec, l, time.Since(began))
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// recovered answers a panic with a 500. If an answer was already under way it reports true: the
// connection must be cut, so that nobody takes half an answer for a whole one.
func (a *API) recovered(rec *recorder, r *http.Request, value any) (abort bool) {
	if value == nil {
		return false
	}
	if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	l := lineOf(r.Context())
	l.attrs = append(l.attrs, slog.String("stack", string(debug.Stack())))
	if rec.status != 0 {
		l.err, l.hidden = fmt.Errorf("panic: %v", value), true
		return true
	}
	a.fail(rec, r, fmt.Errorf("panic: %v", value))
	return false
}

func (a *API) finish(r *http.Request, rec *recorder, l *line, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	method := r.Method
	if !known(method) {
		method = "OTHER"
	}
	a.metrics.requests.WithLabelValues(l.route, method, strconv.Itoa(status)).Inc()
	a.metrics.seconds.WithLabelValues(l.route, method).Observe(took.Seconds())

	level := slog.LevelInfo
	if l.route == "/healthz" || l.route == "/readyz" || l.route == "/metrics" {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("request_id", l.requestID), slog.String("method", r.Method), slog.String("route", l.route),
		slog.String("path", r.URL.Path), slog.Int("status", status), slog.Int64("bytes", rec.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	if l.tenant != "" {
		attrs = append(attrs, slog.String("tenant_id", l.tenant))
	}
	if l.principal != "" {
		attrs = append(attrs, slog.String("principal", l.principal))
	}
	attrs = append(attrs, l.attrs...)
	if l.err != nil {
		attrs = append(attrs, slog.Any("error", l.err))
		if l.hidden {
			level = slog.LevelError
		}
	}
	a.options.Logger.LogAttrs(r.Context(), level, "request", attrs...)
}

// requestID keeps the caller's id if it is short and printable, so that one id follows a request
// through a balancer.
func requestID(r *http.Request) string {
	id := r.Header.Get(requestIDHeader)
	if id == "" || len(id) > maxRequestID {
		return rand.Text()
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return rand.Text()
		}
	}
	return id
}

// recorder remembers what was answered. It unwraps, so that flushing and deadlines reach the connection.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader remembers the first final status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the body.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}
