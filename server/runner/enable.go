package runner

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// SetAdminStatus enables or disables a runner. A disabled runner keeps its claims and finishes them; it
// claims nothing new, and its outstanding wakes wait until it is enabled.
func (s *Service) SetAdminStatus(ctx context.Context, tenant, id string, status AdminStatus) (Runner, error) {
	if CheckID(id) != nil {
		return Runner{}, ErrNotFound
	}
	if status != Enabled && status != Disabled {
		return Runner{}, invalid("admin_status", string(status), "use enabled or disabled")
	}
	runner, err := s.change(ctx, change{
		tenant: tenant, id: id,
		steps: []func(context.Context, pg.Conn) error{
			func(ctx context.Context, conn pg.Conn) error {
				return s.queries.SetRunnerAdminStatus(ctx, conn,
					db.SetRunnerAdminStatusParams{TenantID: tenant, ID: id, AdminStatus: string(status)})
			},
		},
	})
	if err != nil {
		return Runner{}, fmt.Errorf("set admin status of runner %q: %w", id, err)
	}
	s.log.InfoContext(ctx, "runner admin status set", "tenant_id", tenant, "runner_id", id, "admin_status", status)
	return runner, nil
}
