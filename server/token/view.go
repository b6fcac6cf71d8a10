package token

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Lookup asks Postgres for the current claim of a stream. With active, c is
// that claim. Without, there is none or its epoch is sealed, and c.Epoch is
// the highest epoch known to be over. It must end when ctx does.
type Lookup func(ctx context.Context, tenant, stream string) (c Claim, active bool, err error)

// Options configure a View. Trust and Lookup are required.
type Options struct {
	// Trust is how long a claim is believed to be active without another look:
	// one lease.
	Trust time.Duration
	// Lookup is how the view asks Postgres.
	Lookup Lookup
	// MaxLookups is how many look-ups run at once. The others wait for their
	// turn. Zero means 8.
	MaxLookups int
	// Unfenced makes Authorize take every write token that was ever signed,
	// also when its claim is over.
	Unfenced bool
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

const (
	// One look-up is given up after this, counted from its turn.
	lookupTimeout = 20 * time.Second
	// An ended epoch is remembered for this long. It is longer than any
	// look-up or listing whose answer the view still takes.
	overAge = time.Minute
	// A listing older than this is not believed.
	listingAge = overAge / 2
	// How far the clock of Check may lag while Run is running.
	tick = 25 * time.Millisecond
)

// View is a node's memory of the current claim of each stream. It is safe for
// concurrent use. The package documentation says what it guarantees.
type View struct {
	keyring  *Keyring
	trust    int64
	unfenced bool
	metrics  *metrics
	flights  flights

	base       time.Time
	coarse     atomic.Int64 // the time Run last wrote; 0 while Run is not running
	distrusted atomic.Int64 // a look that began at or before this is not believed
	live       atomic.Int64

	_     [64]byte // the fields above are read by every check, those below are written
	table table
}

// NewView makes an empty view.
func NewView(keyring *Keyring, o Options) *View {
	if o.MaxLookups <= 0 {
		o.MaxLookups = 8
	}
	// The base lies in the past so that every time of the view is positive.
	v := &View{keyring: keyring, trust: int64(o.Trust), unfenced: o.Unfenced, base: time.Now().Add(-time.Second)}
	v.distrusted.Store(0)
	v.table.init()
	v.metrics = newMetrics(o.Registerer, v.Len)
	v.flights.init(o.MaxLookups, v.look(o.Lookup))
	return v
}

// now is monotonic nanoseconds, always positive.
func (v *View) now() int64 { return int64(time.Since(v.base)) }

// Run keeps a clock for Check, whose own reading would be a third of its cost,
// and forgets ended epochs. It returns when ctx ends. Without it the view
// reads the clock on every check and forgets nothing, but answers the same.
func (v *View) Run(ctx context.Context) error {
	defer v.coarse.Store(0)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		now := v.now()
		v.coarse.Store(now)
		v.table.prune(&v.table.shards[turn%shardNum], now-int64(overAge))
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Len is how many claims the view holds, trusted or not.
func (v *View) Len() int { return int(v.live.Load()) }

// Put remembers a claim that is active now: one that this node's transaction
// has just committed. An older epoch than the one known changes nothing.
func (v *View) Put(c Claim) { v.put(c, v.now()) }

// put remembers that a look which began at asked found c active. It reports
// whether the view now holds exactly this claim.
func (v *View) put(c Claim, asked int64) (held bool) {
	hash := v.table.hash(c.Tenant, c.Stream)
	tok := ""
	v.table.change(hash, c.Tenant, c.Stream, func(e *entry) *entry {
		var over int64
		if e != nil {
			over = e.over
		}
		if c.Epoch <= over || e.live() && c.Epoch < e.epoch {
			return e
		}
		if tok == "" {
			tok = v.keyring.Sign(WriteToken, c)
		}
		held = true
		if e.live() && e.epoch == c.Epoch && equal(e.token(), tok) {
			e.confirm(asked)
			return e
		}
		if !e.live() {
			v.live.Add(1)
		}
		next := newEntry(hash, c.Tenant, c.Stream, tok)
		next.epoch, next.over = c.Epoch, max(over, c.Epoch-1)
		next.confirm(asked)
		return next
	})
	return held
}

// confirm moves the trust of an entry forward, never back. The shard's lock is
// held or the entry is not yet shared.
func (e *entry) confirm(asked int64) {
	if asked > e.confirmed.Load() {
		e.confirmed.Store(asked)
	}
}

// Drop says that the stream's epochs up to and including epoch are over. A
// claim with a newer epoch stays. The epoch is remembered, so no look-up that
// is under way can bring its claim back. It tells whether a claim was held until now.
func (v *View) Drop(tenant, stream string, epoch int64) (held bool) {
	return v.end(tenant, stream, epoch, epoch)
}

// Fenced says that the store refused a write of this epoch. An entry that is
// not newer is dropped, so the next check looks it up.
func (v *View) Fenced(tenant, stream string, epoch int64) { v.end(tenant, stream, epoch, 0) }

// end removes a claim whose epoch is at most upTo and raises the mark of ended
// epochs to over. It tells whether there was one.
func (v *View) end(tenant, stream string, upTo, over int64) (removed bool) {
	hash := v.table.hash(tenant, stream)
	v.table.change(hash, tenant, stream, func(e *entry) *entry {
		removed = false
		switch {
		case e == nil && over == 0:
			return nil
		case e.live() && e.epoch > upTo:
			// A newer claim stays as it is: its own epoch already says that
			// the older ones are over.
			return e
		case e.live():
			removed = true
			v.live.Add(-1)
		case e != nil && over <= e.over:
			return e
		}
		next := newEntry(hash, tenant, stream, "")
		next.over, next.ended = over, v.now()
		if e != nil {
			next.over = max(over, e.over)
		}
		return next
	})
	return removed
}

// Distrust makes every claim unknown until it is looked up or put again. It is
// for a node that may have missed any number of drops.
func (v *View) Distrust() { v.distrusted.Store(v.now()) }

// Authorize answers whether tok may write to the stream now: from memory if
// that is enough, else by one look at Postgres that all callers for the stream
// share. A forged token never gets as far as Postgres. A look-up waits for its
// turn as long as ctx lasts and is never refused for the limit. The error is
// [ErrRefused] for a no; any other error means that Postgres could not be asked.
func (v *View) Authorize(ctx context.Context, tenant, stream, tok string) (Claim, error) {
	if v.unfenced {
		return v.keyring.Verify(WriteToken, stream, tok)
	}
	verdict, reason := v.check(tenant, stream, tok)
	switch verdict {
	case Valid:
		p, _ := parse(tok)
		return Claim{Tenant: tenant, Stream: stream, Consumer: p.Consumer, Epoch: p.Epoch}, nil
	case Refused:
		return Claim{}, refused(reason)
	case Unknown:
	}
	c, err := v.keyring.Verify(WriteToken, stream, tok)
	if err != nil {
		return Claim{}, err
	}
	for arrived := v.now(); ; {
		found, err := v.flights.join(ctx, streamKey{tenant, stream})
		if err != nil {
			return Claim{}, fmt.Errorf("look up the claim of stream %q of tenant %q: %w", stream, tenant, err)
		}
		switch {
		case found.active && found.claim == c && found.held:
			return c, nil
		case found.asked < arrived:
			// The look began before this caller came, so it may have missed a
			// claim made in between. The next one cannot.
		case c.Epoch < found.claim.Epoch,
			c.Epoch == found.claim.Epoch && !found.active,
			c == found.claim: // active when the look saw it, and dropped since
			return Claim{}, refused(Over)
		default:
			return Claim{}, refused(NotHolder)
		}
	}
}

// look is one turn of a flight: ask, remember, answer.
func (v *View) look(ask Lookup) func(context.Context, streamKey) (finding, error) {
	return func(ctx context.Context, k streamKey) (finding, error) {
		f := finding{asked: v.now()}
		ctx, cancel := context.WithTimeoutCause(ctx, lookupTimeout,
			fmt.Errorf("a token look-up took longer than %s", lookupTimeout))
		defer cancel()
		c, active, err := ask(ctx, k.tenant, k.stream)
		if err == nil && v.now()-f.asked > int64(overAge/2) {
			// What was dropped since may be forgotten already.
			err = errors.New("the answer of a token look-up came too late to be used: try again")
		}
		if err != nil {
			v.metrics.lookups[lookupError].Inc()
			return f, err
		}
		c.Tenant, c.Stream = k.tenant, k.stream
		f.claim, f.active = c, active
		if active {
			v.metrics.lookups[lookupActive].Inc()
			f.held = v.put(c, f.asked)
			return f, nil
		}
		v.metrics.lookups[lookupOver].Inc()
		if c.Epoch > 0 {
			v.Drop(k.tenant, k.stream, c.Epoch)
		}
		return f, nil
	}
}
