package claim

import (
	"context"
	"fmt"
	"time"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// heartbeatsPerLease is how often a holder is asked to come within one lease: two may be lost.
const heartbeatsPerLease = 3

// Lease tells a holder how long its claim lives and when to come next.
type Lease struct {
	TTL  time.Duration
	Next time.Duration
}

type heartbeat = db.RenewLeasesRow

// Heartbeat extends the lease of an active claim by a whole lease. A claim that has ended fails with a
// LostError, one that never was with ErrUnknownClaim.
func (s *Service) Heartbeat(ctx context.Context, k Key) (Lease, error) {
	row, err := s.heartbeats.Do(ctx, k)
	if err != nil {
		return Lease{}, err
	}
	switch {
	case row.Renewed:
		s.metrics.heartbeats.WithLabelValues("renewed").Inc()
		return Lease{TTL: s.Lease, Next: s.Lease / heartbeatsPerLease}, nil
	case row.Status == "":
		s.metrics.heartbeats.WithLabelValues("unknown").Inc()
		return Lease{}, ErrUnknownClaim
	default:
		s.metrics.heartbeats.WithLabelValues("lost").Inc()
		return Lease{}, &LostError{Key: k, Status: row.Status, Cause: row.ReleaseCause}
	}
}

func (s *Service) flushHeartbeats(ctx context.Context, calls []batch.Call[Key]) ([]batch.Result[heartbeat], error) {
	keys := columnsOf(calls, func(c batch.Call[Key]) Key { return c.In })
	var p pg.Pipeline
	var rows []db.RenewLeasesRow
	lockLeases(&p, s.queries, keys)
	pg.Many(&p, &rows, func(ctx context.Context, conn pg.Conn) ([]db.RenewLeasesRow, error) {
		return s.queries.RenewLeases(ctx, conn, db.RenewLeasesParams{
			Ords: pg.Ords(len(calls)), TenantIDs: keys.tenants, ConsumerIDs: keys.consumers, Epochs: keys.epochs, LeaseMs: s.Lease.Milliseconds(),
		})
	})
	if err := p.Run(ctx, s.Pool); err != nil {
		return nil, fmt.Errorf("renew leases: %w", err)
	}
	return results(rows), nil
}

// RenewOnRead keeps a claim alive that its runner only reads for yet: the real runner loads the whole main
// stream before its first heartbeat. It does nothing for another runner, or once heartbeats come.
func (s *Service) RenewOnRead(ctx context.Context, tenant, path, runnerID string) error {
	_, err := s.queries.RenewLeaseOnRead(ctx, s.Pool, db.RenewLeaseOnReadParams{
		TenantID: tenant, Path: path, RunnerID: runnerID, LeaseMs: s.Lease.Milliseconds(),
	})
	if err != nil {
		return fmt.Errorf("renew lease of stream %q: %w", path, err)
	}
	return nil
}
