package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	// The claims of a health report are bounded; their count is always the true one.
	maxListedClaims = 100
	// A claim that is active for this long after its done is overdue.
	doneGrace = 5 * time.Second
	// A client that reports more reconnects than this is not called healthy.
	reconnectsTolerated = 5
)

// HealthStatus sums a health report up.
type HealthStatus string

// Every HealthStatus, from good to bad.
const (
	Healthy   HealthStatus = "healthy"
	Degraded  HealthStatus = "degraded"
	Unhealthy HealthStatus = "unhealthy"
)

// Health is what the server knows of a runner and its work at one moment, as the API shows it.
type Health struct {
	Runner   HealthRunner   `json:"runner"`
	Client   *Diagnostics   `json:"client"`
	Claims   HealthClaims   `json:"claims"`
	Dispatch HealthDispatch `json:"dispatch"`
	Health   HealthSummary  `json:"health"`
}

// HealthRunner is the runner's part of a health report.
type HealthRunner struct {
	ID               string      `json:"id"`
	AdminStatus      AdminStatus `json:"admin_status"`
	Liveness         Liveness    `json:"liveness_status"`
	LeaseExpiresAt   *time.Time  `json:"lease_expires_at"`
	LeaseRemainingMS *int64      `json:"lease_remaining_ms"`
	WakeStream       string      `json:"wake_stream"`
	WakeStreamOffset *string     `json:"wake_stream_offset"`
	LastSeenAt       *time.Time  `json:"last_seen_at"`
	CreatedAt        time.Time   `json:"created_at"`
}

// HealthClaims are the runner's active claims: how many, and the first of them, overdue ones leading.
type HealthClaims struct {
	ActiveCount int64         `json:"active_count"`
	Active      []HealthClaim `json:"active"`
}

// HealthClaim is one active claim. One that is done and not released yet is releasing; one that should
// have been released or expired by now is overdue.
type HealthClaim struct {
	ConsumerID      string     `json:"consumer_id"`
	Epoch           int64      `json:"epoch"`
	EntityURL       string     `json:"entity_url"`
	StreamPath      string     `json:"stream_path"`
	ClaimedAt       time.Time  `json:"claimed_at"`
	LastHeartbeatAt *time.Time `json:"last_heartbeat_at"`
	LeaseExpiresAt  *time.Time `json:"lease_expires_at"`
	Releasing       bool       `json:"releasing,omitempty"`
	Overdue         bool       `json:"overdue,omitempty"`
}

// HealthDispatch counts the entities that this runner has to do with.
type HealthDispatch struct {
	EntitiesWithActiveClaim     int64 `json:"entities_with_active_claim"`
	EntitiesWithOutstandingWake int64 `json:"entities_with_outstanding_wake"`
	EntitiesWithPendingWork     int64 `json:"entities_with_pending_work"`
}

// HealthSummary is the verdict and every reason for it.
type HealthSummary struct {
	Status HealthStatus `json:"status"`
	Issues []string     `json:"issues"`
}

// Health reports on one runner.
func (s *Service) Health(ctx context.Context, tenant, id string) (Health, error) {
	if CheckID(id) != nil {
		return Health{}, ErrNotFound
	}
	var (
		runners []db.GetRunnerRow
		claims  []db.RunnerClaimsRow
		counts  []db.RunnerDispatchCountsRow
	)
	var pipeline pg.Pipeline
	pg.Many(&pipeline, &runners, func(ctx context.Context, conn pg.Conn) ([]db.GetRunnerRow, error) {
		return s.queries.GetRunner(ctx, conn, db.GetRunnerParams{TenantID: tenant, ID: id})
	})
	pg.Many(&pipeline, &claims, func(ctx context.Context, conn pg.Conn) ([]db.RunnerClaimsRow, error) {
		return s.queries.RunnerClaims(ctx, conn, db.RunnerClaimsParams{
			TenantID: tenant, RunnerID: id, MaxRows: maxListedClaims,
			DoneGraceMs: doneGrace.Milliseconds(), LeaseGraceMs: 2 * s.sweepInterval.Milliseconds(),
		})
	})
	pg.Many(&pipeline, &counts, func(ctx context.Context, conn pg.Conn) ([]db.RunnerDispatchCountsRow, error) {
		return s.queries.RunnerDispatchCounts(ctx, conn, db.RunnerDispatchCountsParams{TenantID: tenant, RunnerID: id})
	})
	if err := pg.RideOut(ctx, s.rideOut, func(ctx context.Context) error { return pipeline.Run(ctx, s.pool) }); err != nil {
		return Health{}, fmt.Errorf("read health of runner %q: %w", id, err)
	}
	if len(runners) == 0 {
		return Health{}, ErrNotFound
	}
	runner, err := fromRow(runners[0])
	if err != nil {
		return Health{}, fmt.Errorf("read runner %q: %w", id, err)
	}
	h := Health{
		Runner: runner.health(),
		Client: runner.Diagnostics,
		Claims: healthClaims(claims),
		Health: s.judge(runner, claims),
	}
	for _, c := range counts {
		h.Dispatch = HealthDispatch{
			EntitiesWithActiveClaim:     c.ActiveClaims,
			EntitiesWithOutstandingWake: c.OutstandingWakes,
			EntitiesWithPendingWork:     c.PendingWork,
		}
	}
	return h, nil
}

func (r Runner) health() HealthRunner {
	h := HealthRunner{
		ID: r.ID, AdminStatus: r.AdminStatus, Liveness: r.Liveness, LeaseExpiresAt: r.LeaseExpiresAt,
		WakeStream: r.WakeStream, WakeStreamOffset: r.WakeStreamOffset, LastSeenAt: r.LastSeenAt, CreatedAt: r.CreatedAt,
	}
	if r.LeaseExpiresAt != nil {
		remaining := max(r.leaseRemaining, 0).Milliseconds()
		h.LeaseRemainingMS = &remaining
	}
	return h
}

func healthClaims(rows []db.RunnerClaimsRow) HealthClaims {
	claims := HealthClaims{Active: make([]HealthClaim, 0, len(rows))}
	for _, row := range rows {
		claims.ActiveCount = row.Total
		claims.Active = append(claims.Active, HealthClaim{
			ConsumerID: row.ConsumerID, Epoch: row.Epoch, EntityURL: row.EntityURL, StreamPath: "/" + row.StreamPath,
			ClaimedAt: row.ClaimedAt.UTC(), LastHeartbeatAt: utc(row.LastHeartbeatAt), LeaseExpiresAt: utc(row.ExpiresAt),
			Releasing: row.DoneAt != nil, Overdue: row.Overdue,
		})
	}
	return claims
}
