package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// The liveness lease that a heartbeat asks for.
const (
	DefaultLease = 90 * time.Second
	MinLease     = time.Second
	MaxLease     = 24 * time.Hour
)

// HeartbeatRequest is what a runner reports of itself.
type HeartbeatRequest struct {
	Tenant string
	ID     string
	// Lease is how long the runner counts as online after this; 0 means DefaultLease.
	Lease time.Duration
	// WakeStreamOffset is how far the runner has read its wake stream; "" leaves it as it was. One beyond the
	// stream's tail counts as the tail.
	WakeStreamOffset string
	// Diagnostics is what the client says about itself, as it came. What is not known or not of the right
	// type is dropped: a heartbeat never fails for what it reports. Nothing leaves it as it was.
	Diagnostics json.RawMessage
}

// Heartbeat extends the runner's liveness lease and returns the runner.
func (s *Service) Heartbeat(ctx context.Context, r HeartbeatRequest) (Runner, error) {
	if CheckID(r.ID) != nil {
		return Runner{}, ErrNotFound
	}
	if r.Lease == 0 {
		r.Lease = DefaultLease
	}
	if r.Lease < MinLease || r.Lease > MaxLease {
		return Runner{}, invalid("lease_ms", strconv.FormatInt(r.Lease.Milliseconds(), 10), "it must be between 1000 and 86400000")
	}
	readTo, err := position(r.WakeStreamOffset)
	if err != nil {
		return Runner{}, err
	}
	diagnostics := ""
	if sane := ParseDiagnostics(r.Diagnostics); sane != nil {
		encoded, err := json.Marshal(sane)
		if err != nil {
			return Runner{}, fmt.Errorf("encode diagnostics of runner %q: %w", r.ID, err)
		}
		diagnostics = string(encoded)
	}
	runner, err := s.change(ctx, change{
		tenant: r.Tenant, id: r.ID, ifBack: true,
		steps: []func(context.Context, pg.Conn) error{
			func(ctx context.Context, conn pg.Conn) error {
				return s.queries.RecordRunnerHeartbeat(ctx, conn, db.RecordRunnerHeartbeatParams{
					TenantID: r.Tenant, RunnerID: r.ID, LeaseMs: r.Lease.Milliseconds(),
					WakeStreamOffset: r.WakeStreamOffset, ReadTo: readTo, Diagnostics: diagnostics,
				})
			},
		},
	})
	if err != nil {
		return Runner{}, fmt.Errorf("record heartbeat of runner %q: %w", r.ID, err)
	}
	return runner, nil
}
