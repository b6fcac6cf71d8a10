package server

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/url"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/wakelatch/wakelatch/jobs"
	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/server/inspect"
	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/server/retention"
	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// node is the parts of a node and who knows whom.
type node struct {
	options    Options
	keyring    *token.Keyring
	view       *token.View
	publisher  *notify.Publisher
	listener   *notify.Listener
	hub        *stream.Hub
	jobs       *jobs.Client
	claims     *claim.Service
	entities   *entity.Service
	runners    *runner.Service
	types      *entitytype.Service
	streams    *stream.Service
	inspect    *inspect.Service
	retention  *retention.Service
	keys       *apikey.Directory // nil without authentication
	gauges     *claim.Gauges
	jobsGauges *jobs.Gauges

	certificate *certificate // nil without TLS
}

// loop is a part that runs as long as the node does.
type loop = func(ctx context.Context) error

// newNode makes every part; none of them runs yet.
func (s *Server) newNode(ctx context.Context, pool, jobsPool *pgxpool.Pool) (*node, error) {
	o := s.options
	keyring, err := newKeyring(ctx, o, pool)
	if err != nil {
		return nil, err
	}
	n := &node{options: o, keyring: keyring}
	n.view = token.NewView(keyring, token.Options{
		Trust: o.Lease, Lookup: claim.Lookup(pool), Unfenced: o.Unfenced, Registerer: o.Registry,
	})
	n.publisher = notify.NewPublisher(notify.PublisherOptions{DB: pool, Log: o.Logger, Registerer: o.Registry})
	n.hub = stream.NewHub(stream.HubOptions{Pool: pool, Publisher: n.publisher, Registerer: o.Registry})
	if n.jobs, err = jobs.New(jobs.Options{NodeID: o.NodeID, Pool: jobsPool, Logger: o.Logger, Registerer: o.Registry, Keep: o.KeepJobs}); err != nil {
		return nil, err
	}
	n.claims = claim.New(claim.Options{
		Pool: pool, Jobs: n.jobs, View: n.view, Keyring: keyring, Announcer: n.hub, Logger: o.Logger, Registerer: o.Registry,
		Lease: o.Lease, SweepInterval: o.SweepInterval, Backoff: o.Backoff, BackoffMax: o.BackoffMax, ParkAfter: o.ParkAfter, SweepDisabled: o.SweepDisabled, RideOut: o.RideOut,
	})
	n.entities = entity.New(entity.Options{
		Pool: pool, Claims: n.claims, Jobs: n.jobs, Hub: n.hub, Logger: o.Logger, Registerer: o.Registry, LongPoll: o.LongPoll, RideOut: o.RideOut,
	})
	n.runners = runner.New(runner.Options{
		Pool: pool, Log: o.Logger, Claims: n.claims, Nudge: n.claims.Nudge, ClaimLease: o.Lease, SweepInterval: o.SweepInterval, RideOut: o.RideOut,
	})
	n.types = entitytype.New(pool, o.Logger)
	n.streams = stream.New(stream.Options{
		Pool: pool, Hub: n.hub, Registerer: o.Registry, Logger: o.Logger, LongPoll: o.LongPoll, RideOut: o.RideOut,
		Unfenced: o.Unfenced,
	})
	n.retention = retention.New(retention.Options{
		Pool: jobsPool, Logger: o.Logger, Registerer: o.Registry,
		Claims: o.KeepClaims, History: o.KeepHistory, Wakes: o.KeepWakes, Interval: o.RetentionInterval,
	})
	n.inspect = inspect.New(inspect.Options{Pool: pool, SweepInterval: o.SweepInterval, RideOut: o.RideOut})
	if err := n.guard(pool); err != nil {
		return nil, err
	}
	n.gauges = claim.NewGauges(jobsPool, o.GaugeInterval, o.Logger, o.Registry)
	n.jobsGauges = jobs.NewGauges(jobsPool, o.GaugeInterval, o.Logger, o.Registry)
	if o.RuntimeMetrics {
		o.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	connection, err := pg.ParseConnConfig(o.ListenDatabaseURL, o.NodeID+" listener")
	if err != nil {
		return nil, fmt.Errorf("configure listener: %w", err)
	}
	n.listener = notify.NewListener(notify.Options{
		ConnConfig: connection, Handler: n, Prober: pool, Log: o.Logger, Registerer: o.Registry,
	})
	return n, nil
}

// guard makes what decides on who may reach the node.
func (n *node) guard(pool *pgxpool.Pool) (err error) {
	o, access := n.options, n.options.Access
	if access.Auth == AuthKeys {
		n.keys = apikey.NewDirectory(apikey.Options{
			DB: pool, Logger: o.Logger, Registerer: o.Registry, RideOut: o.RideOut, Rate: access.RateLimit, Burst: access.RateBurst,
		})
	}
	if access.tls() {
		n.certificate, err = newCertificate(access.TLSCert, access.TLSKey, o.Logger)
	}
	return err
}

// loops are the parts that run as long as the node does and that a request may need.
func (n *node) loops() map[string]loop {
	all := map[string]loop{
		"token view":     n.view.Run,
		"claims":         n.claims.Run,
		"entities":       n.entities.Run,
		"streams":        n.streams.Run,
		"reconcile":      n.reconcile,
		"distrust":       n.distrust,
		"retention":      n.retention.Run,
		"gauges":         n.gauges.Run,
		"gauges of jobs": n.jobsGauges.Run,
	}
	if n.keys != nil {
		all["api keys"] = n.keys.Run
	}
	if n.certificate != nil {
		all["certificate"] = n.certificate.Run
	}
	return all
}

func (n *node) authenticator(listen string, public *url.URL) api.Authenticator {
	if n.keys != nil {
		return api.NewKeyAuth(n.keys)
	}
	return api.NewNoAuth(listen, public)
}

func (n *node) handler(s *Server, listen string, public *url.URL) *api.API {
	o := n.options
	return api.New(api.Options{
		Auth: n.authenticator(listen, public), PublicURL: public,
		Claims: n.claims, Entities: n.entities, Runners: n.runners, Types: n.types, Streams: n.streams,
		Inspect: n.inspect,
		View:    n.view, Keyring: n.keyring,
		Ready: s.ready.Load, IsUnavailable: func(err error) bool { return pg.IsUnavailable(err) || pg.IsContention(err) },
		RideOut: func(ctx context.Context, work func(context.Context) error) error {
			return pg.RideOut(ctx, o.RideOut, work)
		},
		MaxBody: o.MaxBody, RequestTimeout: o.Access.RequestTimeout,
		MetricsApart: o.Access.MetricsListen != "" || o.Access.Auth == AuthKeys,
		Logger:       o.Logger, Registerer: o.Registry, Gatherer: o.Registry,
	})
}

// Notify takes a hint from another node or from this one. It only marks and wakes.
func (n *node) Notify(e notify.Event) {
	if e.Kind == notify.KindClaim {
		n.view.Drop(e.Tenant, e.Key, e.Number)
		return
	}
	n.hub.Notify(e)
}

// Resync makes up for every hint that may have been missed: the tokens from the rows, and whoever waits
// looks again.
func (n *node) Resync(ctx context.Context) error {
	if err := n.claims.Resync(ctx); err != nil {
		return err
	}
	n.hub.WakeAll()
	return nil
}

// warnings is for what net/http says by itself, mostly of clients that broke off.
func warnings(l *slog.Logger) *log.Logger {
	return slog.NewLogLogger(l.With("component", "http").Handler(), slog.LevelWarn)
}
