package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// Options are the settings of a node. Everything but the database's URL may be left zero.
type Options struct {
	// DatabaseURL leads to the database, perhaps through PgBouncer. Required.
	DatabaseURL string
	// ListenDatabaseURL leads to the same database directly, for LISTEN and for River; "" means DatabaseURL.
	ListenDatabaseURL string
	// Listen is the address to take requests at; "" means a free port of 127.0.0.1.
	Listen string
	// PublicURL is how runners reach the nodes; "" means the listen address.
	PublicURL string
	// NodeID names the node in logs and in pg_stat_activity; "" makes one.
	NodeID string
	// TokenKeys are the keys of all tokens: the first signs, all verify. None means one that is kept in the database.
	TokenKeys [][]byte
	// PoolSize bounds the connections for requests; 0 means 20. River, the listener and the gauges have a few more.
	PoolSize int32

	// Lease is how long a claim lives without a heartbeat; 30 s.
	Lease time.Duration
	// SweepInterval is the time between two looks for what no request will come back for; 1 s.
	SweepInterval time.Duration
	// SweepDisabled leaves sweeping to other nodes.
	SweepDisabled bool
	// Backoff is the wait before work is tried again after a claim that expired, failed or acknowledged
	// nothing; it doubles with each in a row, up to BackoffMax; 500 ms and 5 min.
	Backoff, BackoffMax time.Duration
	// ParkAfter is how many failures in a row park an entity; 0 means 20, below 0 never.
	ParkAfter int
	// ReconcileInterval bounds what a lost notification can cost; 2 s.
	ReconcileInterval time.Duration
	// GaugeInterval is the time between two readings of the gauges that come from the database; 5 s.
	GaugeInterval time.Duration
	// KeepClaims, KeepHistory and KeepWakes are how long ended claims with their events, actions, and wake events that
	// their runner has read are kept at least; none of them is removed when it is 0.
	KeepClaims, KeepHistory, KeepWakes time.Duration
	// RetentionInterval is the time between two turns that remove what is past its age; 1 min.
	RetentionInterval time.Duration
	// KeepJobs is how long finished jobs are kept; 10 min.
	KeepJobs time.Duration
	// RideOut is how long requests wait for a database that is away; 10 s.
	RideOut time.Duration
	// DrainDelay is how long a stopping node goes on serving after it said that it is not ready; none.
	DrainDelay time.Duration
	// LongPoll is how long a request that waits for news waits; 25 s.
	LongPoll time.Duration
	// MaxBody bounds a request's body in bytes; 8 MiB.
	MaxBody int64
	// Access says who may reach the node; nobody is asked who they are if it is zero.
	Access Access

	// Logger gets everything the node says; nil discards it.
	Logger *slog.Logger
	// Registry takes the node's metrics; nil means one of its own.
	Registry *prometheus.Registry
	// RuntimeMetrics adds those of Go and of the process, for nodes that have a process for themselves.
	RuntimeMetrics bool
	// Tracer sees every statement of the pool for requests; nil for none.
	Tracer pgx.QueryTracer
	// Unfenced lets every write token append for ever, also when its claim is over: it takes away what this
	// project is for. It is there so that demo --break=fence and fault tests can show that they would notice.
	// No setting of serve leads to it.
	Unfenced bool
}

// withDefaults fills in what was left zero. The services know the defaults of what stays zero.
func (o Options) withDefaults() Options {
	if o.ListenDatabaseURL == "" {
		o.ListenDatabaseURL = o.DatabaseURL
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.NodeID == "" {
		host, _ := os.Hostname()
		o.NodeID = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), strings.ToLower(rand.Text()[:4]))
	}
	if o.PoolSize == 0 {
		o.PoolSize = 20
	}
	setDefault(&o.Lease, 30*time.Second)
	setDefault(&o.ReconcileInterval, 2*time.Second)
	setDefault(&o.GaugeInterval, 5*time.Second)
	setDefault(&o.RideOut, 10*time.Second)
	o.Access = o.Access.withDefaults(o.RideOut)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	return o
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func (o Options) validate() error {
	var wrong []error
	if o.DatabaseURL == "" {
		wrong = append(wrong, errors.New("no database url is set"))
	}
	if o.PublicURL != "" {
		if u, err := url.Parse(o.PublicURL); err != nil || u.Host == "" {
			wrong = append(wrong, fmt.Errorf("public url %q is not an absolute URL", o.PublicURL))
		}
	}
	for _, d := range []time.Duration{
		o.Lease, o.SweepInterval, o.ReconcileInterval, o.GaugeInterval, o.RideOut, o.DrainDelay, o.LongPoll,
		o.KeepClaims, o.KeepHistory, o.KeepWakes, o.RetentionInterval, o.KeepJobs,
	} {
		if d < 0 {
			wrong = append(wrong, fmt.Errorf("duration %s is negative", d))
		}
	}
	wrong = append(wrong, o.Access.validate())
	return errors.Join(wrong...)
}
