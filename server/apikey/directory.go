package apikey

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Options are what a Directory needs of the rest of a node.
type Options struct {
	// DB is the database. Required.
	DB pg.Conn
	// Logger gets a line when keys cannot be read. Required.
	Logger *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// RideOut is how long a known key works, and a look-up waits, while the database is away; 0 means DefaultRideOut.
	RideOut time.Duration
	// Refresh is the time between two readings of the keys in use; 0 means DefaultRefresh.
	Refresh time.Duration
	// Rate is how many requests a second a key may send in the long run, and Burst how many at once. A Rate of 0 is no limit.
	Rate, Burst int
}

// Defaults of [Options].
const (
	DefaultRideOut = 10 * time.Second
	DefaultRefresh = time.Second
)

const (
	maxKnown    = 4096
	maxMissing  = 4096
	maxWaiting  = 1024
	maxBatch    = 512
	forgetAfter = time.Minute
	// A key is believed for this many turns beyond the ride-out, so that a slow turn is no outage.
	graceTurns     = 3
	refreshTimeout = pg.StatementTimeout + time.Second
)

// Directory is a node's memory of keys. It may be used by any number of goroutines, while Run runs.
type Directory struct {
	o       Options
	queries *db.Queries
	metrics *metrics
	lookups *batch.Batcher[string, *entry]
	waiting atomic.Int64
	memory  memory
	trust   time.Duration
}

// NewDirectory makes an empty directory.
func NewDirectory(o Options) *Directory {
	if o.RideOut == 0 {
		o.RideOut = DefaultRideOut
	}
	if o.Refresh == 0 {
		o.Refresh = DefaultRefresh
	}
	o.Logger = o.Logger.With("component", "apikey")
	d := &Directory{o: o, queries: db.New(), trust: o.RideOut + graceTurns*o.Refresh}
	d.memory.init(d.newLimiter)
	d.metrics = newMetrics(o.Registerer, d.memory.len)
	d.lookups = batch.New(d.lookUp, batch.Options[string]{
		Name: "api_keys", MaxItems: maxBatch, RideOut: o.RideOut, Registerer: o.Registerer, Classify: classify,
	})
	return d
}

func classify(err error) batch.Class {
	if pg.IsUnavailable(err) || pg.IsContention(err) {
		return batch.Transient
	}
	return batch.Fatal
}

// Run reads the keys in use again and again, and looks new ones up, until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return d.lookups.Run(ctx) })
	group.Go(func() error { return d.refreshEvery(ctx) })
	return group.Wait()
}

// Check says whom a key stands for: ErrUnknown, ErrRevoked or ErrExpired for nobody. Any other error means that the
// database could not be asked.
func (d *Directory) Check(ctx context.Context, text string) (Key, error) {
	key, err := d.check(ctx, text)
	d.metrics.check(err)
	return key, err
}

func (d *Directory) check(ctx context.Context, text string) (Key, error) {
	id, ok := idOf(text)
	if !ok {
		return Key{}, ErrUnknown
	}
	now := time.Now()
	found, known := d.memory.get(id, now, d.trust)
	if !known {
		var err error
		if found, err = d.ask(ctx, id); err != nil {
			return Key{}, err
		}
	}
	return found.judge(hash(text), time.Now())
}

// ask waits for the next statement that looks keys up.
func (d *Directory) ask(ctx context.Context, id string) (*entry, error) {
	if d.waiting.Add(1) > maxWaiting {
		d.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer d.waiting.Add(-1)
	found, err := d.lookups.Do(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look up api key %q: %w", id, err)
	}
	return found, nil
}

// lookUp is one statement for all that wait.
func (d *Directory) lookUp(ctx context.Context, calls []batch.Call[string]) ([]batch.Result[*entry], error) {
	ids := make([]string, len(calls))
	for i, c := range calls {
		ids[i] = c.In
	}
	slices.Sort(ids)
	found, err := d.read(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	results := make([]batch.Result[*entry], len(calls))
	for i, c := range calls {
		results[i].Out = found[c.In]
	}
	return results, nil
}

// read asks for keys and remembers the answer, also that there is none.
func (d *Directory) read(ctx context.Context, ids []string) (map[string]*entry, error) {
	asked := time.Now()
	rows, err := d.queries.LookUpAPIKeys(ctx, d.o.DB, ids)
	if err != nil {
		d.metrics.lookups[failed].Add(float64(len(ids)))
		return nil, fmt.Errorf("read api keys: %w", err)
	}
	d.metrics.lookups[present].Add(float64(len(rows)))
	d.metrics.lookups[absent].Add(float64(len(ids) - len(rows)))
	found := make(map[string]*entry, len(rows))
	for _, r := range rows {
		e := &entry{
			key:     Key{ID: r.ID, Tenant: r.TenantID, Principal: r.Principal, Role: Role(r.Role)},
			revoked: r.Revoked, asked: asked,
		}
		copy(e.hash[:], r.SecretHash)
		if r.Expires {
			// As if all of the time the answer took had passed before it was made.
			e.expires = asked.Add(time.Duration(r.RemainingMs) * time.Millisecond)
		}
		found[r.ID] = e
	}
	return d.memory.put(ids, found, asked), nil
}

func (d *Directory) refreshEvery(ctx context.Context) error {
	ticker := time.NewTicker(d.o.Refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		ids := d.memory.inUse(time.Now())
		if len(ids) == 0 {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, refreshTimeout)
		_, err := d.read(bounded, ids)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.o.Logger.WarnContext(ctx, "keys are read again at the next turn", "error", err, "keys", len(ids))
		}
	}
}

// Spend takes one request from what the key may send, or answers a LimitedError.
func (d *Directory) Spend(k Key) error {
	limiter := d.memory.limiter(k.ID)
	if limiter == nil || limiter.Allow() {
		return nil
	}
	d.metrics.limited.Inc()
	missing := 1 - limiter.Tokens()
	return &LimitedError{After: time.Duration(math.Max(missing, 0) / float64(limiter.Limit()) * float64(time.Second))}
}

func (d *Directory) newLimiter() *rate.Limiter {
	if d.o.Rate == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(d.o.Rate), max(d.o.Burst, 1))
}

// WorksFor says whether the key's principal owns a runner that holds a claim of an entity which the other principal made.
// Both are URLs, as rows have them.
func (d *Directory) WorksFor(ctx context.Context, tenant, owner, principal string) (works bool, err error) {
	err = pg.RideOut(ctx, d.o.RideOut, func(ctx context.Context) (err error) {
		works, err = d.queries.WorksForPrincipal(ctx, d.o.DB, db.WorksForPrincipalParams{
			TenantID: tenant, OwnerPrincipal: owner, Principal: principal,
		})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for claims of %q: %w", owner, err)
	}
	return works, nil
}

// entry is what is known of an id. It does not change once it is shared, but for when it was last used.
type entry struct {
	key     Key
	hash    [sha256.Size]byte
	revoked bool
	expires time.Time // zero is never
	asked   time.Time // when the statement that found it began
	limiter *rate.Limiter
	used    atomic.Int64
}

// judge compares in constant time before it looks at anything else. No entry at all is an unknown key.
func (e *entry) judge(sum [sha256.Size]byte, now time.Time) (Key, error) {
	switch {
	case e == nil || subtle.ConstantTimeCompare(e.hash[:], sum[:]) != 1:
		return Key{}, ErrUnknown
	case e.revoked:
		return Key{}, ErrRevoked
	case !e.expires.IsZero() && !now.Before(e.expires):
		return Key{}, ErrExpired
	}
	e.used.Store(now.UnixNano())
	return e.key, nil
}
