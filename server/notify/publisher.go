package notify

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PublisherOptions configure a Publisher. DB is required.
type PublisherOptions struct {
	DB Execer
	// MaxPending bounds the hints that wait to be sent. Zero means 65,536.
	MaxPending int
	// Timeout bounds one statement. Zero means 5 s.
	Timeout time.Duration
	// Backoff is how long to wait after a statement failed.
	Backoff Backoff
	// Log is nil for none.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

// Publisher sends hints after their commit. Hints for one kind, tenant and key
// that wait together become one, with the highest number; only one statement
// is in flight, and the hints that come during it go in the next. What cannot
// be sent is kept and sent again, up to a bound: a hint is made up for by the
// reconcile of whoever would have got it.
type Publisher struct {
	o       PublisherOptions
	log     *slog.Logger
	metrics *publisherMetrics
	wake    chan struct{}

	mu      sync.Mutex
	pending map[subject]int64
}

type subject struct {
	kind        Kind
	tenant, key string
}

// NewPublisher makes a publisher that sends while Run runs.
func NewPublisher(o PublisherOptions) *Publisher {
	if o.MaxPending <= 0 {
		o.MaxPending = 1 << 16
	}
	orDefault(&o.Timeout, 5*time.Second)
	o.Backoff.fill()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Publisher{
		o: o, log: o.Log.With("component", "publisher"),
		metrics: newPublisherMetrics(o.Registerer),
		wake:    make(chan struct{}, 1), pending: map[subject]int64{},
	}
}

// Publish marks hints for sending. It never blocks.
func (p *Publisher) Publish(events ...Event) {
	p.mu.Lock()
	for _, e := range events {
		p.mark(subject{e.Kind, e.Tenant, e.Key}, e.Number)
	}
	p.mu.Unlock()
	signal(p.wake)
}

// mark raises a subject's number. The lock is held.
func (p *Publisher) mark(s subject, number int64) {
	old, known := p.pending[s]
	switch {
	case !known && len(p.pending) >= p.o.MaxPending:
		p.metrics.dropped.Inc()
	case !known || number > old:
		p.pending[s] = number
	}
}

// Run sends what is published until ctx ends, lets the statement in flight
// end, tries once more to send what is left, and returns nil.
func (p *Publisher) Run(ctx context.Context) error {
	work := context.WithoutCancel(ctx)
	for failures := 0; ; {
		var retry <-chan time.Time
		if err := p.flush(work); err != nil {
			pause := p.o.Backoff.after(failures)
			failures++
			p.log.WarnContext(ctx, "could not send notifications, will try again", "error", err, "pause_ms", pause.Milliseconds())
			retry = time.After(pause)
		} else {
			failures = 0
		}
		wake := p.wake
		if retry != nil {
			wake = nil // new hints do not shorten the pause
		}
		select {
		case <-wake:
		case <-retry:
		case <-ctx.Done():
			if err := p.flush(work); err != nil {
				p.log.WarnContext(ctx, "notifications were not sent before the end", "error", err)
			}
			return nil
		}
	}
}

// flush sends all that is pending, and puts back what it could not send.
func (p *Publisher) flush(ctx context.Context) error {
	p.mu.Lock()
	taken := p.pending
	if len(taken) == 0 {
		p.mu.Unlock()
		return nil
	}
	p.pending = make(map[subject]int64)
	p.mu.Unlock()

	events := make([]Event, 0, len(taken))
	for s, number := range taken {
		events = append(events, Event{Kind: s.kind, Tenant: s.tenant, Key: s.key, Number: number})
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.o.Timeout,
		fmt.Errorf("sending notifications took longer than %s", p.o.Timeout))
	defer cancel()
	if err := send(ctx, p.o.DB, events); err != nil {
		p.metrics.failures.Inc()
		p.mu.Lock()
		defer p.mu.Unlock()
		for s, number := range taken {
			p.mark(s, number)
		}
		return err
	}
	p.metrics.published.Add(float64(len(events)))
	return nil
}

func send(ctx context.Context, db Execer, events []Event) error {
	_, err := db.Exec(ctx, "select pg_notify($1, p) from unnest($2::text[]) p", Channel, Encode(events))
	if err != nil {
		return fmt.Errorf("notify of %d events: %w", len(events), err)
	}
	return nil
}
