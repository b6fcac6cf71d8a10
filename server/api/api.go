package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/server/inspect"
	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/server/token"
)

// Defaults of [Options].
const (
	DefaultMaxBody        = 8 << 20
	DefaultRequestTimeout = 30 * time.Second
)

// Options are what the handlers need of the rest of a node.
type Options struct {
	// Auth says who calls. Required.
	Auth Authenticator
	// PublicURL is where runners reach a node; callbacks are made from it. Required.
	PublicURL *url.URL
	// The domain. A service that is nil makes its routes panic, which a caller sees as a 500.
	Claims   *claim.Service
	Entities *entity.Service
	Runners  *runner.Service
	Types    *entitytype.Service
	Streams  *stream.Service
	Inspect  *inspect.Service
	// View says whether a write token is its stream's current one. Required.
	View *token.View
	// Keyring proves the tokens of callbacks. Required.
	Keyring *token.Keyring
	// Ready says whether the node wants traffic; nil means always.
	Ready func() bool
	// IsUnavailable says whether an error means that the database is away or busy; nil means none does.
	IsUnavailable func(error) bool
	// RideOut repeats work while the database is away; nil means that work is done once.
	RideOut func(ctx context.Context, work func(ctx context.Context) error) error
	// MaxBody bounds a request's body in bytes; 0 means DefaultMaxBody.
	MaxBody int64
	// RequestTimeout bounds a request that does not wait for news; 0 means DefaultRequestTimeout.
	RequestTimeout time.Duration
	// MetricsApart leaves /metrics out of the handler; see API.Operations.
	MetricsApart bool
	// Logger gets one line a request. Required.
	Logger *slog.Logger
	// Registerer takes the package's metrics. Required.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows. Required.
	Gatherer prometheus.Gatherer
}

// API answers the requests of one node.
type API struct {
	options Options
	metrics *metrics
	table   []row
	handler http.Handler
	apart   http.Handler
}

// New makes the handler of a node.
func New(o Options) *API {
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = DefaultRequestTimeout
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	if o.IsUnavailable == nil {
		o.IsUnavailable = func(error) bool { return false }
	}
	if o.RideOut == nil {
		o.RideOut = func(ctx context.Context, work func(ctx context.Context) error) error { return work(ctx) }
	}
	o.Logger = o.Logger.With("component", "api")
	a := &API{options: o, metrics: newMetrics(o.Registerer), table: table()}
	a.handler = a.observe(newRouter(a, func(rt route) bool { return !o.MetricsApart || rt.template != metricsPath }))
	a.apart = a.observe(newRouter(a, func(rt route) bool { return rt.access == open }))
	return a
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.handler.ServeHTTP(w, r)
}

// Operations answers what is asked of the node itself, health and metrics, and nothing else. It asks nobody who they are
// and is for an address that only its operators reach.
func (a *API) Operations() http.Handler { return a.apart }

// handlerFunc is a handler that returns its failure instead of writing it.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// access says what a route asks of its caller.
type access int

const (
	// Anybody is answered: health and metrics.
	open access = iota
	// The request proves itself with a token of its claim, or its handler looks at the caller.
	admitted
	// The caller is known, and has this role or one that holds more; see caller.
	asViewer
	asClient
	asRunner
	asAdmin
)

// role is the least that the caller of such a route must have.
func (a access) role() Role {
	switch a {
	case asViewer:
		return RoleViewer
	case asClient:
		return RoleClient
	case asRunner:
		return RoleRunner
	case open, admitted, asAdmin:
	}
	return RoleAdmin
}

// adapt makes an ordinary handler of a route.
func (a *API) adapt(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := lineOf(r.Context())
		line.route = rt.label()
		if r.ContentLength != 0 {
			r.Body = http.MaxBytesReader(w, r.Body, a.options.MaxBody)
		}
		ctx, cancel := a.lifetime(r.Context(), waits(r))
		defer cancel()
		deadlines(ctx, w, r)
		r = r.WithContext(ctx)
		r, err := a.admit(rt, r)
		if err == nil {
			err = rt.handle(w, r)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// lifetime is the context a request works under: a request that waits follows its connection and the
// server, any other one only its own time-out.
func (a *API) lifetime(ctx context.Context, waits bool) (context.Context, context.CancelFunc) {
	if waits {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), a.options.RequestTimeout)
}

// deadlines bound how long a slow sender or reader may hold the request. The server reads on, after the
// body, to notice a caller that hangs up, and would take the end of that time for it; so a request without a
// body has none. They are set on every request, since they stay with the connection.
func deadlines(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	var sent time.Time
	end, ok := ctx.Deadline()
	if ok {
		sent = end.Add(sendTimeout)
	}
	connection := http.NewResponseController(w)
	// A writer that is no connection, as in a test, has no deadlines.
	_ = connection.SetWriteDeadline(sent)
	if r.ContentLength != 0 {
		_ = connection.SetReadDeadline(end)
	}
}

// sendTimeout is what sending an answer may take once the time for finding it is over.
const sendTimeout = 10 * time.Second

// waits says whether the request asks to be held until there is news.
func waits(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Get("live") != ""
}

func (a *API) admit(rt route, r *http.Request) (*http.Request, error) {
	if rt.access == open {
		return r, nil
	}
	if err := a.options.Auth.Admit(r); err != nil {
		return r, refusedReader(r, err)
	}
	if err := readableQuery(r); err != nil {
		return r, refusedReader(r, err)
	}
	if rt.access == admitted {
		return r, nil
	}
	who, err := a.allowed(r, rt.access.role())
	if err != nil {
		return r, err
	}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, who)), nil
}

// allowed says who calls, if they may do what needs the role.
func (a *API) allowed(r *http.Request, need Role) (Identity, error) {
	who, err := a.identify(r)
	if err != nil {
		return Identity{}, err
	}
	if err := a.options.Auth.Spend(who); err != nil {
		return Identity{}, err
	}
	if !who.Allows(need) {
		return Identity{}, wrongRole(who.Role, need)
	}
	return who, nil
}

// identify says who calls, and notes it on the request's log line.
func (a *API) identify(r *http.Request) (Identity, error) {
	who, err := a.options.Auth.Identify(r)
	if err != nil {
		return Identity{}, err
	}
	line := lineOf(r.Context())
	line.tenant, line.principal = who.Tenant, who.Principal.Key()
	return who, nil
}

type callerKey struct{}

// caller is who sent the request of a route that knows it.
func caller(r *http.Request) Identity {
	who, _ := r.Context().Value(callerKey{}).(Identity)
	return who
}
