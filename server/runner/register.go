package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const maxSandboxProfiles = 64

// RegisterRequest is what a runner says about itself. On a runner that exists, what is left empty keeps
// its value, so a restart undoes no operator's decision.
type RegisterRequest struct {
	Tenant string
	ID     string
	// Owner is the principal the runner works for; it never changes.
	Owner       string
	Label       string
	Kind        string
	AdminStatus AdminStatus
	// WakeStream may repeat the path that the id leads to; no other is possible.
	WakeStream      string
	SandboxProfiles []SandboxProfile
}

// Register records a runner and makes its wake stream, or updates them. The runner it returns holds the
// wake stream offset its last heartbeat left, so that it reads on from there.
func (s *Service) Register(ctx context.Context, r RegisterRequest) (Runner, error) {
	if err := r.check(); err != nil {
		return Runner{}, err
	}
	profiles := ""
	if r.SandboxProfiles != nil {
		encoded, err := json.Marshal(r.SandboxProfiles)
		if err != nil {
			return Runner{}, invalid("sandbox_profiles", "", err.Error())
		}
		profiles = string(encoded)
	}
	upsert := db.UpsertRunnerParams{
		TenantID: r.Tenant, ID: r.ID, OwnerPrincipal: r.Owner, Label: r.Label, Kind: r.Kind,
		AdminStatus: string(r.AdminStatus), WakeStream: WakeStreamPath(r.ID), SandboxProfiles: profiles,
	}
	runner, err := s.change(ctx, change{
		tenant: r.Tenant, id: r.ID, owner: r.Owner, arms: true,
		steps: []func(context.Context, pg.Conn) error{
			func(ctx context.Context, conn pg.Conn) error { return s.queries.UpsertRunner(ctx, conn, upsert) },
			func(ctx context.Context, conn pg.Conn) error {
				return s.queries.InsertRunnerDiagnostics(ctx, conn,
					db.InsertRunnerDiagnosticsParams{TenantID: r.Tenant, RunnerID: r.ID})
			},
			func(ctx context.Context, conn pg.Conn) error {
				return s.queries.InsertWakeStream(ctx, conn,
					db.InsertWakeStreamParams{TenantID: r.Tenant, Path: WakeStreamPath(r.ID)})
			},
		},
	})
	if err != nil {
		return Runner{}, fmt.Errorf("register runner %q: %w", r.ID, err)
	}
	if runner.OwnerPrincipal != r.Owner {
		return Runner{}, ErrForeign
	}
	s.log.InfoContext(ctx, "runner registered", "tenant_id", r.Tenant, "runner_id", r.ID,
		"owner_principal", r.Owner, "admin_status", runner.AdminStatus)
	return runner, nil
}

func (r RegisterRequest) check() error {
	if err := CheckID(r.ID); err != nil {
		return err
	}
	if r.Owner == "" {
		return invalid("owner_principal", "", "name the principal the runner works for")
	}
	if err := checkText("owner_principal", r.Owner, maxOwner); err != nil {
		return err
	}
	if err := checkText("label", r.Label, MaxLabel); err != nil {
		return err
	}
	if kinds := []string{"", "local", "cloud-worker", "sandbox", "ci", "server"}; !slices.Contains(kinds, r.Kind) {
		return invalid("kind", r.Kind, "use one of local, cloud-worker, sandbox, ci, server")
	}
	if r.AdminStatus != "" && r.AdminStatus != Enabled && r.AdminStatus != Disabled {
		return invalid("admin_status", string(r.AdminStatus), "use enabled or disabled")
	}
	if r.WakeStream != "" && strings.TrimPrefix(r.WakeStream, "/") != WakeStreamPath(r.ID) {
		return invalid("wake_stream", r.WakeStream, "leave it out: it is always /"+WakeStreamPath(r.ID))
	}
	return checkProfiles(r.SandboxProfiles)
}

func checkProfiles(profiles []SandboxProfile) error {
	if len(profiles) > maxSandboxProfiles {
		return invalid("sandbox_profiles", "", "there are more than 64")
	}
	for _, p := range profiles {
		if p.Name == "" {
			return invalid("sandbox_profiles", "", "one has no name")
		}
		for _, text := range []string{p.Name, p.Label, p.Description} {
			if err := checkText("sandbox_profiles", text, maxDiagnosticText); err != nil {
				return err
			}
		}
	}
	return nil
}
