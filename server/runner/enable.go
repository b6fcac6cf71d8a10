package runner

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// StatusRequest is what somebody decides about a runner. Actor and reason go into the history.
type StatusRequest struct {
	Tenant string
	ID     string
	Status AdminStatus
	Actor  string
	Reason string
}

// SetAdminStatus enables, drains or disables a runner. One that is not enabled keeps its claims and finishes them; it
// claims nothing new, no wake is made for it, and its outstanding wakes wait until it is enabled. A runner that
// drains goes on reading its wake stream, a disabled one does not.
func (s *Service) SetAdminStatus(ctx context.Context, r StatusRequest) (Runner, error) {
	if CheckID(r.ID) != nil {
		return Runner{}, ErrNotFound
	}
	if r.Status != Enabled && r.Status != Draining && r.Status != Disabled {
		return Runner{}, invalid("admin_status", string(r.Status), "use enabled, draining or disabled")
	}
	action := newActionID()
	runner, err := s.change(ctx, change{
		tenant: r.Tenant, id: r.ID, arms: true,
		steps: []func(context.Context, pg.Conn) error{
			func(ctx context.Context, conn pg.Conn) error {
				return s.queries.SetRunnerAdminStatus(ctx, conn, db.SetRunnerAdminStatusParams{
					TenantID: r.Tenant, ID: r.ID, AdminStatus: string(r.Status), ActionID: action, Actor: r.Actor, Reason: r.Reason,
				})
			},
		},
	})
	if err != nil {
		return Runner{}, fmt.Errorf("set admin status of runner %q: %w", r.ID, err)
	}
	s.log.InfoContext(ctx, "runner admin status set", "tenant_id", r.Tenant, "runner_id", r.ID, "admin_status", r.Status)
	return runner, nil
}

func newActionID() string { return "act-" + strings.ToLower(rand.Text()) }
