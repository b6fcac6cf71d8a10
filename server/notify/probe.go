package notify

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// probes measures how long a hint takes, by one on its way to this listener
// at a time. The other nodes get it as well and ignore it.
type probes struct {
	self string

	mu     sync.Mutex
	number int64
	sentAt time.Time // zero when none is on its way
}

func (p *probes) init() { p.self = rand.Text() }

// send begins a probe. It reports whether the one before has come back.
func (p *probes) send() (e Event, returned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	returned = p.sentAt.IsZero()
	p.number++
	p.sentAt = time.Now()
	return Event{Kind: kindProbe, Key: p.self, Number: p.number}, returned
}

// forget gives a probe up that could not be sent.
func (p *probes) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sentAt = time.Time{}
}

func (p *probes) returned(e Event, delay prometheus.Observer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Key != p.self || e.Number != p.number || p.sentAt.IsZero() {
		return
	}
	delay.Observe(time.Since(p.sentAt).Seconds())
	p.sentAt = time.Time{}
}

// probe sends a probe at once and then every interval while the session lasts.
func (l *Listener) probe(ctx context.Context) {
	l.probes.forget()
	ticker := time.NewTicker(l.o.ProbeInterval)
	defer ticker.Stop()
	for {
		e, returned := l.probes.send()
		if !returned {
			l.log.WarnContext(ctx, "a notification to this node did not arrive: do listener and pool use the same database?",
				"probe_interval_ms", l.o.ProbeInterval.Milliseconds())
		}
		bounded, cancel := context.WithTimeout(ctx, l.o.PingTimeout)
		err := send(bounded, l.o.Prober, []Event{e})
		cancel()
		if err != nil {
			l.probes.forget()
			if ctx.Err() == nil {
				l.log.WarnContext(ctx, "could not send a notification to this node", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
