package runner

import (
	"encoding/json"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
)

// AdminStatus is what an operator decided about a runner.
type AdminStatus string

// Every AdminStatus. Only an enabled runner gets new work; the others keep what they hold and finish it. A draining
// runner still reads its wake stream.
const (
	Enabled  AdminStatus = "enabled"
	Draining AdminStatus = "draining"
	Disabled AdminStatus = "disabled"
)

// Liveness is what a runner's heartbeats say about it.
type Liveness string

// Every Liveness. A runner is offline when it is disabled or was never heard of, and expired when its
// liveness lease has ended.
const (
	Online  Liveness = "online"
	Offline Liveness = "offline"
	Expired Liveness = "expired"
)

// Runner is a registration together with its liveness, as the API shows it.
type Runner struct {
	ID               string           `json:"id"`
	OwnerPrincipal   string           `json:"owner_principal"`
	Label            string           `json:"label"`
	Kind             string           `json:"kind"`
	AdminStatus      AdminStatus      `json:"admin_status"`
	Liveness         Liveness         `json:"liveness"`
	LeaseExpiresAt   *time.Time       `json:"liveness_lease_expires_at"`
	LastSeenAt       *time.Time       `json:"last_seen_at"`
	WakeStream       string           `json:"wake_stream"`
	WakeStreamOffset *string          `json:"wake_stream_offset"`
	SandboxProfiles  []SandboxProfile `json:"sandbox_profiles"`
	Diagnostics      *Diagnostics     `json:"diagnostics"`
	CreatedAt        time.Time        `json:"created_at"`
	UpdatedAt        time.Time        `json:"updated_at"`

	leaseRemaining time.Duration
}

// SandboxProfile is a place to run in that a runner offers.
type SandboxProfile struct {
	Name        string `json:"name"`
	Label       string `json:"label"`
	Description string `json:"description,omitempty"`
	Remote      bool   `json:"remote,omitempty"`
}

// WakeStreamPath is where the wakes of a runner are announced, as streams are named: without a leading slash.
func WakeStreamPath(id string) string { return "runners/" + id + "/wake" }

func fromRow(row db.GetRunnerRow) (Runner, error) {
	r := Runner{
		ID: row.ID, OwnerPrincipal: row.OwnerPrincipal, Label: row.Label, Kind: row.Kind,
		AdminStatus: AdminStatus(row.AdminStatus), Liveness: Liveness(row.Liveness),
		LeaseExpiresAt: utc(row.LeaseExpiresAt), LastSeenAt: utc(row.LastSeenAt),
		WakeStream: "/" + row.WakeStream, WakeStreamOffset: row.WakeStreamOffset,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
		leaseRemaining: time.Duration(row.LeaseRemainingMs) * time.Millisecond,
	}
	if err := json.Unmarshal(row.SandboxProfiles, &r.SandboxProfiles); err != nil {
		return Runner{}, err
	}
	if row.Diagnostics != nil {
		r.Diagnostics = ParseDiagnostics(row.Diagnostics)
	}
	return r, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
