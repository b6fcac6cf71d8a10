package notify

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
)

// Handler is told what other nodes did. Notify and Resync may run at once.
type Handler interface {
	// Notify takes one hint. It must not block and must do no I/O: it marks
	// and wakes.
	Notify(e Event)
	// Resync reads from rows whatever any number of missed hints could have
	// said. An error makes the listener connect again.
	Resync(ctx context.Context) error
}

// Execer is what sends notifications; a pgxpool.Pool is one.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Options configure a Listener. ConnConfig and Handler are required.
type Options struct {
	// ConnConfig is where to listen: a direct connection, not one through a
	// transaction pooler. The listener works on a copy.
	ConnConfig *pgx.ConnConfig
	Handler    Handler
	// PingInterval is how long a silent connection is trusted. Zero means 5 s.
	PingInterval time.Duration
	// PingTimeout bounds a ping, a connect and the LISTEN. Zero means 3 s.
	PingTimeout time.Duration
	// ResyncTimeout bounds a resync. Zero means 1 min.
	ResyncTimeout time.Duration
	// Backoff is how long to wait between connects.
	Backoff Backoff
	// Prober sends a hint to this listener every ProbeInterval, to measure
	// how long one takes. Nil measures nothing.
	Prober Execer
	// ProbeInterval is zero for 15 s.
	ProbeInterval time.Duration
	// Log is nil for none.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

// Backoff doubles from Min to Max, half of it chance, and starts again at Min
// once the listener has been healthy for Reset. Zeros mean 50 ms, 5 s, 10 s.
type Backoff struct {
	Min, Max, Reset time.Duration
}

func orDefault(d *time.Duration, otherwise time.Duration) {
	if *d <= 0 {
		*d = otherwise
	}
}

func (o *Options) fill() {
	orDefault(&o.PingInterval, 5*time.Second)
	orDefault(&o.PingTimeout, 3*time.Second)
	orDefault(&o.ResyncTimeout, time.Minute)
	orDefault(&o.ProbeInterval, 15*time.Second)
	o.Backoff.fill()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func (b *Backoff) fill() {
	orDefault(&b.Min, 50*time.Millisecond)
	orDefault(&b.Max, 5*time.Second)
	orDefault(&b.Reset, 10*time.Second)
}

func (b *Backoff) after(failures int) time.Duration {
	d := b.Max
	if failures < 30 {
		d = min(b.Min<<failures, b.Max)
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // jitter, not a secret
}

// Listener keeps one connection that listens, and tells its handler.
type Listener struct {
	o       Options
	log     *slog.Logger
	metrics *listenerMetrics
	probes  probes

	ready   chan struct{}
	isReady sync.Once
	healthy atomic.Bool

	mu       sync.Mutex
	lostAt   time.Time // while not healthy: since when
	healthAt time.Time // of this connection; zero before its first resync
}

// NewListener makes a listener that connects when Run runs.
func NewListener(o Options) *Listener {
	o.fill()
	l := &Listener{
		o: o, log: o.Log.With("component", "listener"),
		metrics: newListenerMetrics(o.Registerer),
		ready:   make(chan struct{}), lostAt: time.Now(),
	}
	l.probes.init()
	return l
}

// Ready is closed after the first resync.
func (l *Listener) Ready() <-chan struct{} { return l.ready }

// Healthy says whether hints arrive: connected, listening and resynced.
func (l *Listener) Healthy() bool { return l.healthy.Load() }

// Disconnected is how long the listener has not been healthy; zero if it is.
func (l *Listener) Disconnected() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.healthy.Load() {
		return 0
	}
	return time.Since(l.lostAt)
}

// Run listens until ctx ends, and then returns nil. It rides out everything
// else.
func (l *Listener) Run(ctx context.Context) error {
	for failures := 0; ; failures++ {
		err := l.session(ctx)
		stayed := l.unhealthy()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the session ended because it was told to
		}
		l.metrics.reconnects.Inc()
		if stayed >= l.o.Backoff.Reset {
			failures = 0
		}
		pause := l.o.Backoff.after(failures)
		l.log.WarnContext(ctx, "listener lost its connection, will connect again", "error", err, "pause_ms", pause.Milliseconds())
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

func (l *Listener) becomeHealthy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.healthAt.IsZero() {
		l.healthAt = time.Now()
	}
	l.healthy.Store(true)
	l.metrics.connected.Set(1)
	l.isReady.Do(func() { close(l.ready) })
}

// unhealthy is how long the connection that has just ended was healthy.
func (l *Listener) unhealthy() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.healthy.Swap(false) {
		return 0
	}
	l.metrics.connected.Set(0)
	l.lostAt = time.Now()
	stayed := l.lostAt.Sub(l.healthAt)
	l.healthAt = time.Time{}
	return stayed
}
