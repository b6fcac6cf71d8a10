package main

import (
	"strings"
	"time"
)

// config is every setting's value.
type config struct {
	databaseURL       string
	listenDatabaseURL string
	listen            string
	publicURL         string
	dataDir           string
	postgresBin       string
	insecureRemote    bool
	tokenKeys         [][]byte
	nodeID            string
	poolSize          int64
	lease             time.Duration
	sweep             time.Duration
	backoff           time.Duration
	backoffMax        time.Duration
	parkAfter         int64
	reconcile         time.Duration
	keepClaims        time.Duration
	keepHistory       time.Duration
	keepWakes         time.Duration
	keepJobs          time.Duration
	retention         time.Duration
	rideOut           time.Duration
	drainDelay        time.Duration
	drainTimeout      time.Duration
	longPoll          time.Duration
	maxBody           int64
	runtimeMetrics    bool
	logLevel          string
	logFormat         string
	url               string
	entityType        string
	runnerID          string
	concurrency       int64
	grace             time.Duration
	broken            string
	apiKey            string
	json              bool
	reason            string
	status            string
	entity            string
	ofRunner          string
	parked            bool
	ofType            string
	limit             int64
	after             string
	to                string
	wait              bool
	access            access
	key               keyRequest
}

// maxKeep bounds the settings that say how long something is kept.
const maxKeep = 10 * 365 * 24 * time.Hour

// commandSet is the commands that take a setting.
type commandSet int

const (
	forDev commandSet = 1 << iota
	forServe
	forMigrate
	forAgent
	forDemo
	forClaims
	forRunners
	forEntities
	forWhy
	forDoctor
	forMend
	forKeys
	forNone      commandSet = 0
	forNodes                = forDev | forServe
	forLists                = forClaims | forRunners | forEntities
	forOperators            = forLists | forWhy
)

// setting is one line of the only table of settings: help, flags and variables are made from it.
type setting struct {
	name     string // of the flag; the variable is WAKELATCH_ and the name in capitals
	kind     string // of the value, for the help; "" for a switch
	fallback string
	help     string
	in       commandSet
	set      func(c *config, text string) error
}

func (s setting) variable() string {
	return "WAKELATCH_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

func settings() []setting {
	return append([]setting{
		{
			"database-url", "URL", "", "the database, as postgres://user:password@host:port/name", forServe | forMigrate | forKeys | forDoctor | forMend,
			required(databaseURL(func(c *config) *string { return &c.databaseURL })),
		},
		{
			"listen-database-url", "URL", "", "the same database reached directly, for LISTEN, when database-url leads through PgBouncer", forServe | forDoctor,
			databaseURL(func(c *config) *string { return &c.listenDatabaseURL }),
		},
		{
			"listen", "ADDRESS", "127.0.0.1:8080", "where to take requests; port 0 picks a free one", forNodes,
			address(func(c *config) *string { return &c.listen }),
		},
		{
			"public-url", "URL", "", "how runners reach the nodes, usually the balancer's URL; callbacks are made from it (default: the listen address)", forNodes,
			httpURL(func(c *config) *string { return &c.publicURL }),
		},
		{
			"data-dir", "DIR", ".wakelatch", "where the database of dev lives", forDev,
			required(text(func(c *config) *string { return &c.dataDir })),
		},
		{
			"data-dir", "DIR", "", "where the database of the demo is kept; it must be new (default: in a folder that is removed)", forDemo,
			text(func(c *config) *string { return &c.dataDir }),
		},
		{
			"postgres-bin", "DIR", "", "the Postgres binaries to use (default: the newest found, else they are fetched)", forDev | forDemo,
			text(func(c *config) *string { return &c.postgresBin }),
		},
		{
			"insecure-allow-remote", "", "false", "let auth none listen on an address that other machines reach", forNodes,
			boolean(func(c *config) *bool { return &c.insecureRemote }),
		},
		{
			"token-key", "KEY[,KEY]", "", "keys of 32 bytes or more in base64; the first signs, all verify; prefer the variable, flags show in ps (default: one kept in the database)", forServe,
			keys(func(c *config) *[][]byte { return &c.tokenKeys }),
		},
		{
			"node-id", "NAME", "", "what this node is called in logs and in pg_stat_activity (default: host name and process id)", forServe,
			text(func(c *config) *string { return &c.nodeID }),
		},
		{
			"pool-size", "N", "20", "database connections for requests; a node takes up to seven more", forNodes | forDoctor,
			number(func(c *config) *int64 { return &c.poolSize }, 2, 1000),
		},
		{
			"lease", "DURATION", "30s", "how long a claim lives without a heartbeat", forNodes,
			duration(func(c *config) *time.Duration { return &c.lease }, time.Second, 24*time.Hour),
		},
		{
			"sweep-interval", "DURATION", "1s", "how often to look for ended leases and wakes that nobody claimed", forNodes,
			duration(func(c *config) *time.Duration { return &c.sweep }, 10*time.Millisecond, time.Hour),
		},
		{
			"backoff", "DURATION", "500ms", "the wait before work is tried again after a claim that expired, failed or acknowledged nothing; it doubles with each in a row", forNodes,
			duration(func(c *config) *time.Duration { return &c.backoff }, time.Millisecond, time.Hour),
		},
		{
			"backoff-max", "DURATION", "5m", "the longest of these waits", forNodes,
			duration(func(c *config) *time.Duration { return &c.backoffMax }, time.Millisecond, 24*time.Hour),
		},
		{
			"park-after", "N", "20", "how many such claims in a row park an entity until somebody un-parks it; 0 parks none", forNodes,
			number(func(c *config) *int64 { return &c.parkAfter }, 0, 1_000_000),
		},
		{
			"reconcile-interval", "DURATION", "2s", "how often to make up for notifications that were lost", forNodes,
			duration(func(c *config) *time.Duration { return &c.reconcile }, 10*time.Millisecond, time.Hour),
		},
		{
			"keep-claims", "DURATION", "168h", "how long ended claims and their history can be read; 0 keeps them for ever", forNodes,
			duration(func(c *config) *time.Duration { return &c.keepClaims }, 0, maxKeep),
		},
		{
			"keep-history", "DURATION", "720h", "how long what was done to entities and runners can be read; 0 keeps it for ever", forNodes,
			duration(func(c *config) *time.Duration { return &c.keepHistory }, 0, maxKeep),
		},
		{
			"keep-wakes", "DURATION", "1h", "how long wake events that their runner has read are kept; 0 keeps them for ever", forNodes,
			duration(func(c *config) *time.Duration { return &c.keepWakes }, 0, maxKeep),
		},
		{
			"keep-jobs", "DURATION", "10m", "how long finished jobs are kept", forNodes,
			duration(func(c *config) *time.Duration { return &c.keepJobs }, time.Second, maxKeep),
		},
		{
			"retention-interval", "DURATION", "1m", "how often to remove what is past its age", forNodes,
			duration(func(c *config) *time.Duration { return &c.retention }, 100*time.Millisecond, 24*time.Hour),
		},
		{
			"ride-out", "DURATION", "10s", "how long a request waits for a database that is away before it is answered with 503", forNodes,
			duration(func(c *config) *time.Duration { return &c.rideOut }, time.Millisecond, 10*time.Minute),
		},
		{
			"drain-delay", "DURATION", "0s", "how long to go on serving after /readyz turned 503, so that balancers notice", forNodes,
			duration(func(c *config) *time.Duration { return &c.drainDelay }, 0, time.Hour),
		},
		{
			"drain-timeout", "DURATION", "30s", "how long the rest of a stop may take before it is cut short", forNodes | forAgent,
			duration(func(c *config) *time.Duration { return &c.drainTimeout }, time.Second, time.Hour),
		},
		{
			"long-poll-timeout", "DURATION", "25s", "how long a request that waits for news waits; keep it below the balancer's idle time-out", forNodes,
			duration(func(c *config) *time.Duration { return &c.longPoll }, 10*time.Millisecond, time.Hour),
		},
		{
			"max-body", "BYTES", "8388608", "the largest request body taken", forNodes,
			number(func(c *config) *int64 { return &c.maxBody }, 1024, 1<<30),
		},
		{
			"runtime-metrics", "", "false", "show Go runtime and process metrics at /metrics too", forServe,
			boolean(func(c *config) *bool { return &c.runtimeMetrics }),
		},
		{
			"log-level", "LEVEL", "info", "debug, info, warn or error", forNodes | forAgent,
			oneOf(func(c *config) *string { return &c.logLevel }, "debug", "info", "warn", "error"),
		},
		{
			"log-format", "FORMAT", "auto", "json, text or auto, which is text for dev and run and json for serve", forNodes | forAgent,
			oneOf(func(c *config) *string { return &c.logFormat }, "auto", "json", "text"),
		},
		{
			"url", "URL", "http://127.0.0.1:8080", "how to reach the nodes, usually the balancer's URL", forAgent | forOperators,
			required(httpURL(func(c *config) *string { return &c.url })),
		},
		{
			"type", "NAME", "", "the entity type to work for; it is registered, and its new entities are this runner's", forAgent,
			required(text(func(c *config) *string { return &c.entityType })),
		},
		{
			"runner", "ID", "", "what the runner is called; processes that share a name share the work (default: the type's name)", forAgent,
			text(func(c *config) *string { return &c.runnerID }),
		},
		{
			"concurrency", "N", "1", "how many entities to work on at once, each with a program of its own", forAgent,
			number(func(c *config) *int64 { return &c.concurrency }, 1, 1000),
		},
		{
			"grace", "DURATION", "10s", "how long a program that gets SIGTERM, because its claim is lost or the drain timeout passed, may go on before it is killed", forAgent,
			duration(func(c *config) *time.Duration { return &c.grace }, 10*time.Millisecond, time.Hour),
		},
		{
			"break", "WHAT", "", "fence: run the demo with nodes that take every write, which it must notice", forDemo,
			optional(oneOf(func(c *config) *string { return &c.broken }, "fence")),
		},
	}, append(accessSettings(), operatorSettings()...)...)
}
