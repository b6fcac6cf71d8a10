package inspect

import (
	"context"
	"fmt"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
)

// Dispatch is everything that decides who works on an entity, as it is at one moment.
type Dispatch struct {
	EntityURL string `json:"entity_url"`
	// Status is the entity's, or deleted.
	Status string `json:"status"`
	// State says in a word what the entity waits for.
	State State `json:"state"`
	// Now is the database's clock, which every other time is measured by.
	Now time.Time `json:"now"`
	// Generation is the epoch of the newest wake.
	Generation int64 `json:"generation"`
	// Pending says whether a message waits to be acknowledged.
	Pending      bool       `json:"pending"`
	PendingSince *time.Time `json:"pending_since,omitempty"`
	Owner        *Owner     `json:"owner,omitempty"`
	Wake         *Wake      `json:"wake,omitempty"`
	// Runner is the one that the entity's wakes go to.
	Runner        *Runner    `json:"runner,omitempty"`
	Failures      int32      `json:"failures"`
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty"`
	ParkedReason  string     `json:"parked_reason,omitempty"`
	LastRelease   *Release   `json:"last_release,omitempty"`
	Next          Next       `json:"next"`
}

// Owner is the claim that the entity is under.
type Owner struct {
	ConsumerID       string     `json:"consumer_id"`
	Epoch            int64      `json:"epoch"`
	RunnerID         string     `json:"runner_id"`
	ClaimedAt        time.Time  `json:"claimed_at"`
	ConfirmedAt      *time.Time `json:"confirmed_at,omitempty"`
	DoneAt           *time.Time `json:"done_at,omitempty"`
	LeaseExpiresAt   *time.Time `json:"lease_expires_at,omitempty"`
	LeaseRemainingMS *int64     `json:"lease_remaining_ms,omitempty"`
	LastHeartbeatAt  *time.Time `json:"last_heartbeat_at,omitempty"`
}

// Wake is a wake that is out: announced, and not claimed yet.
type Wake struct {
	WakeID   string    `json:"wake_id"`
	RunnerID string    `json:"runner_id"`
	Since    time.Time `json:"since"`
	// Emissions is how often it was announced, and NextEmissionAt when it is again.
	Emissions      int32      `json:"emissions"`
	NextEmissionAt *time.Time `json:"next_emission_at,omitempty"`
}

// Runner is the runner that an entity's wakes go to.
type Runner struct {
	ID          string     `json:"id"`
	Registered  bool       `json:"registered"`
	AdminStatus string     `json:"admin_status,omitempty"`
	Online      bool       `json:"online"`
	LastSeenAt  *time.Time `json:"last_seen_at,omitempty"`
}

// Release is the end of the last claim.
type Release struct {
	ConsumerID string    `json:"consumer_id"`
	Epoch      int64     `json:"epoch"`
	At         time.Time `json:"at"`
	Cause      string    `json:"cause"`
}

// Dispatch reads the state of one entity, or fails with ErrNotFound. That of a deleted entity is still there.
func (s *Service) Dispatch(ctx context.Context, tenant, entityURL string) (Dispatch, error) {
	if err := checkFilter("entity", entityURL); err != nil {
		return Dispatch{}, err
	}
	var rows []db.ShowDispatchRow
	err := s.read(ctx, "dispatch state of "+entityURL, func(ctx context.Context) (err error) {
		rows, err = s.queries.ShowDispatch(ctx, s.Pool, db.ShowDispatchParams{TenantID: tenant, EntityURL: entityURL})
		return err
	})
	switch {
	case err != nil:
		return Dispatch{}, err
	case len(rows) == 0:
		return Dispatch{}, fmt.Errorf("entity %s: %w", entityURL, ErrNotFound)
	}
	view := dispatchOf(rows[0])
	view.State = s.judge(view)
	view.Next = s.next(view)
	return view, nil
}

func dispatchOf(row db.ShowDispatchRow) Dispatch {
	d := row.WakelatchEntityDispatchState
	view := Dispatch{
		EntityURL: d.EntityURL, Status: row.Status, Now: row.Now.UTC(), Generation: d.Generation, Pending: row.Pending && row.Status != statusDeleted,
		Owner: ownerOf(row), Wake: wakeOf(d), Runner: runnerOf(row), Failures: d.Failures, LastRelease: releaseOf(d),
	}
	if view.Pending {
		view.PendingSince = utc(&row.PendingSince)
	}
	if view.Wake == nil {
		view.NextAttemptAt = utc(d.NextAttemptAt)
	}
	if d.ParkedReason != nil {
		view.ParkedReason = *d.ParkedReason
	}
	return view
}

func ownerOf(row db.ShowDispatchRow) *Owner {
	d := row.WakelatchEntityDispatchState
	if d.ActiveConsumerID == nil {
		return nil
	}
	o := &Owner{
		ConsumerID: *d.ActiveConsumerID, Epoch: *d.ActiveEpoch, RunnerID: *d.ActiveRunnerID, ClaimedAt: d.ActiveClaimedAt.UTC(),
		ConfirmedAt: utc(row.ConfirmedAt), DoneAt: utc(row.DoneAt), LeaseExpiresAt: utc(row.ExpiresAt), LastHeartbeatAt: utc(row.LastHeartbeatAt),
	}
	if row.ExpiresAt != nil {
		left := max(row.ExpiresAt.Sub(row.Now), 0).Milliseconds()
		o.LeaseRemainingMS = &left
	}
	return o
}

func wakeOf(d db.WakelatchEntityDispatchState) *Wake {
	if d.OutstandingWakeID == nil {
		return nil
	}
	return &Wake{
		WakeID: *d.OutstandingWakeID, RunnerID: *d.OutstandingRunnerID, Since: d.OutstandingSince.UTC(),
		Emissions: d.OutstandingEmissions, NextEmissionAt: utc(d.NextAttemptAt),
	}
}

func runnerOf(row db.ShowDispatchRow) *Runner {
	if row.RunnerID == "" {
		return nil
	}
	r := &Runner{ID: row.RunnerID, Registered: row.RunnerRegistered, AdminStatus: row.RunnerAdminStatus, LastSeenAt: utc(row.RunnerLastSeenAt)}
	r.Online = r.Registered && r.AdminStatus != adminDisabled && row.RunnerLeaseExpiresAt != nil && row.RunnerLeaseExpiresAt.After(row.Now)
	return r
}

func releaseOf(d db.WakelatchEntityDispatchState) *Release {
	if d.LastConsumerID == nil || d.LastEpoch == nil || d.LastReleasedAt == nil || d.LastReleaseCause == nil {
		return nil
	}
	return &Release{ConsumerID: *d.LastConsumerID, Epoch: *d.LastEpoch, At: d.LastReleasedAt.UTC(), Cause: *d.LastReleaseCause}
}
