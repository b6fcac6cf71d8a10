package runner

import (
	"fmt"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
)

// verdict collects issues; the worst of them is its status.
type verdict struct {
	degraded, unhealthy bool
	issues              []string
}

func (v *verdict) degrade(format string, args ...any) {
	v.degraded = true
	v.issues = append(v.issues, fmt.Sprintf(format, args...))
}

func (v *verdict) condemn(format string, args ...any) {
	v.unhealthy = true
	v.issues = append(v.issues, fmt.Sprintf(format, args...))
}

func (v *verdict) summary() HealthSummary {
	s := HealthSummary{Status: Healthy, Issues: v.issues}
	if s.Issues == nil {
		s.Issues = []string{}
	}
	switch {
	case v.unhealthy:
		s.Status = Unhealthy
	case v.degraded:
		s.Status = Degraded
	}
	return s
}

func (s *Service) judge(r Runner, claims []db.RunnerClaimsRow) HealthSummary {
	var v verdict
	v.liveness(r)
	if r.Diagnostics != nil {
		v.client(r.Diagnostics)
	}
	for _, c := range claims {
		if c.Overdue {
			v.degrade("claim %s epoch %d should have been released %d s ago", c.ConsumerID, c.Epoch, int64(c.OverdueSeconds))
		}
		if s.stalled(r, c) {
			v.degrade("no progress on claim %s epoch %d for %d s", c.ConsumerID, c.Epoch, int64(c.QuietSeconds))
		}
	}
	return v.summary()
}

func (v *verdict) liveness(r Runner) {
	if r.AdminStatus == Draining {
		v.degrade("draining")
	}
	switch {
	case r.AdminStatus == Disabled:
		v.condemn("the runner is disabled")
	case r.Liveness == Expired:
		v.condemn("the runner's liveness lease ended %d s ago", int64(-r.leaseRemaining/time.Second))
	case r.Liveness == Offline:
		v.degrade("the runner has sent no heartbeat yet")
	}
}

func (v *verdict) client(d *Diagnostics) {
	if d.StreamConnected != nil && !*d.StreamConnected {
		v.degrade("the client reports that its wake stream is down")
	}
	if d.LastHeartbeatOK != nil && !*d.LastHeartbeatOK {
		v.degrade("the client reports that its last heartbeat failed")
	}
	if d.ReconnectCount != nil && *d.ReconnectCount > reconnectsTolerated {
		v.degrade("the client reports %d reconnects", *d.ReconnectCount)
	}
}

// stalled says whether the runner has gone on heartbeating for longer than a claim's lease since the
// claim last showed an append, an ack or a heartbeat of its own. A done claim waits for the server.
func (s *Service) stalled(r Runner, c db.RunnerClaimsRow) bool {
	return r.Liveness == Online && c.DoneAt == nil && r.LastSeenAt != nil &&
		r.LastSeenAt.Sub(c.ProgressAt) > s.claimLease
}
