package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Status is how bad a finding is.
type Status string

// Every Status, from good to bad. A check that others stand in the way of is skipped.
const (
	OK      Status = "ok"
	Skipped Status = "skipped"
	Warn    Status = "warn"
	Fail    Status = "fail"
)

// Finding is what one check found.
type Finding struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Summary string `json:"summary"`
	// Rows are what is wrong, one by one; the first of them if there are many.
	Rows []string `json:"rows,omitempty"`
	// Commands mend it, in this order.
	Commands []string `json:"commands,omitempty"`
}

// Options are what to look at. Only the database is required.
type Options struct {
	// DatabaseURL and ListenDatabaseURL are what the nodes got; the latter is DatabaseURL if it is "".
	DatabaseURL       string
	ListenDatabaseURL string
	// URL is a node's or the balancer's; "" leaves it out.
	URL string
	// HTTP asks it; nil means a client of its own.
	HTTP *http.Client
	// NodeConnections is how many connections one node may open; 0 leaves the budget out.
	NodeConnections int
	// Clock is this machine's; nil means time.Now.
	Clock func() time.Time
	// OldTransaction is how long a transaction may stay open; 0 means a minute.
	OldTransaction time.Duration
}

// throughAnything is how statements pass every pooler: none is left prepared.
const throughAnything = pgx.QueryExecModeCacheDescribe

// checkTimeout bounds one check.
const checkTimeout = 10 * time.Second

// maxRows bounds what a finding lists.
const maxRows = 20

// patient is one installation under examination.
type patient struct {
	Options
	pool    *pgxpool.Pool
	queries *db.Queries
	// nodes is how many are connected, as the database sees it.
	nodes int
	// heard says that a notification came through.
	heard bool
}

// check is one thing to look at. One that needs the schema is skipped without it.
type check struct {
	name   string
	schema bool
	run    func(p *patient, ctx context.Context) (Finding, error)
}

func checks() []check {
	return []check{
		{name: "schema", run: (*patient).schema},
		{name: "node", run: (*patient).node},
		{name: "consistency", schema: true, run: (*patient).consistency},
		{name: "sweep", schema: true, run: (*patient).sweep},
		{name: "releases", schema: true, run: (*patient).releases},
		{name: "jobs", schema: true, run: (*patient).jobs},
		{name: "listener", run: (*patient).listener},
		{name: "pooler", run: (*patient).pooler},
		{name: "connections", run: (*patient).connections},
		{name: "clock", run: (*patient).clock},
		{name: "durability", run: (*patient).durability},
		{name: "transactions", run: (*patient).transactions},
		{name: "token key", schema: true, run: (*patient).tokenKey},
		{name: "parked", schema: true, run: (*patient).parked},
		{name: "runners", schema: true, run: (*patient).runners},
	}
}

// ErrDatabase means that there is nothing to look at without the database.
var ErrDatabase = errors.New("the database cannot be reached with the nodes' own settings")

// Examine makes every check, one after the other, and returns what each found.
func Examine(ctx context.Context, o Options) ([]Finding, error) {
	if o.ListenDatabaseURL == "" {
		o.ListenDatabaseURL = o.DatabaseURL
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.OldTransaction == 0 {
		o.OldTransaction = time.Minute
	}
	pool, err := pg.NewPool(ctx, pg.PoolOptions{DSN: o.DatabaseURL, ApplicationName: "wakelatch doctor", MaxConns: 3, ExecMode: throughAnything})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	p := &patient{Options: o, pool: pool, queries: db.New()}
	first := p.examine(ctx, check{name: "database", run: (*patient).database})
	findings := []Finding{first}
	complete := true
	for _, c := range checks() {
		f := Finding{Check: c.name, Status: Skipped, Summary: "not looked at without the " + missing(first)}
		if first.Status != Fail && (complete || !c.schema) {
			f = p.examine(ctx, c)
		}
		complete = complete && (c.name != "schema" || f.Status != Fail)
		findings = append(findings, f)
	}
	return findings, nil
}

func missing(database Finding) string {
	if database.Status == Fail {
		return "database"
	}
	return "schema"
}

func (p *patient) examine(ctx context.Context, c check) Finding {
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, fmt.Errorf("it took longer than %s", checkTimeout))
	defer cancel()
	f, err := c.run(p, ctx)
	if err != nil {
		f = Finding{Status: Fail, Summary: fmt.Sprintf("could not be looked at: %v", err)}
	}
	f.Check = c.name
	return f
}

func okay(format string, args ...any) (Finding, error) {
	return Finding{Status: OK, Summary: fmt.Sprintf(format, args...)}, nil
}

// list adds a row, as long as there is room, and its command, each once.
func (f *Finding) list(row string, commands ...string) {
	if len(f.Rows) >= maxRows {
		return
	}
	f.Rows = append(f.Rows, row)
	for _, c := range commands {
		f.command(c)
	}
}

func (f *Finding) command(command string) {
	if !slices.Contains(f.Commands, command) {
		f.Commands = append(f.Commands, command)
	}
}

// query reads rows of a statement that is about the server and not about our tables.
func query[T any](ctx context.Context, p *patient, sql string, args ...any) ([]T, error) {
	return collect[T](ctx, p.pool, sql, args...)
}
