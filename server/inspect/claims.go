package inspect

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Claim is one claim as the API shows it. The lease is shown while the claim is active.
type Claim struct {
	ConsumerID       string     `json:"consumer_id"`
	Epoch            int64      `json:"epoch"`
	EntityURL        string     `json:"entity_url"`
	StreamPath       string     `json:"stream_path"`
	RunnerID         string     `json:"runner_id"`
	Status           string     `json:"status"`
	ClaimedAt        time.Time  `json:"claimed_at"`
	ConfirmedAt      *time.Time `json:"confirmed_at"`
	DoneAt           *time.Time `json:"done_at"`
	DoneOutcome      *string    `json:"done_outcome"`
	ReleasedAt       *time.Time `json:"released_at"`
	ReleaseCause     *string    `json:"release_cause"`
	ReleasedBy       *string    `json:"released_by"`
	EntityCleared    *bool      `json:"entity_cleared"`
	LeaseExpiresAt   *time.Time `json:"lease_expires_at,omitempty"`
	LeaseRemainingMS *int64     `json:"lease_remaining_ms,omitempty"`
	LastHeartbeatAt  *time.Time `json:"last_heartbeat_at,omitempty"`
}

// Claim returns one claim, or ErrNotFound.
func (s *Service) Claim(ctx context.Context, tenant, consumer string, epoch int64) (Claim, error) {
	if err := checkFilter("consumer", consumer); err != nil {
		return Claim{}, err
	}
	claims, err := s.show(ctx, tenant, []claimKey{{ConsumerID: consumer, Epoch: epoch}})
	if err != nil {
		return Claim{}, err
	}
	if len(claims) == 0 {
		return Claim{}, fmt.Errorf("claim %q epoch %d: %w", consumer, epoch, ErrNotFound)
	}
	return claims[0], nil
}

// ClaimsRequest selects claims of a tenant; empty fields select all.
type ClaimsRequest struct {
	Tenant                 string
	Status, Entity, Runner string
	// After is the cursor of the page before.
	After string
	// Limit is the length of a page; 0 is DefaultPage, and more than MaxPage is MaxPage.
	Limit int
}

func (r *ClaimsRequest) check() error {
	switch r.Status {
	case "", "active", "released", "expired", "failed":
	default:
		return &InvalidError{Field: "status", Why: "must be active, released, expired or failed"}
	}
	if r.Entity != "" && !strings.HasPrefix(r.Entity, "/") {
		r.Entity = "/" + r.Entity
	}
	if err := checkFilter("entity", r.Entity); err != nil {
		return err
	}
	return checkFilter("runner", r.Runner)
}

const statusReleased = "released"

// claimKey is a claim of a tenant.
type claimKey = db.ClaimsActiveRow

// Claims returns a page of claims, the newest first: by when they were made, or ended if only the released ones
// are asked for; and the cursor of the next one if there are more.
func (s *Service) Claims(ctx context.Context, r ClaimsRequest) (page []Claim, next string, err error) {
	if err := r.check(); err != nil {
		return nil, "", err
	}
	after, err := parseCursor(r.After)
	if err != nil {
		return nil, "", err
	}
	limit := pageOf(r.Limit)
	var keys []claimKey
	err = s.read(ctx, "claims", func(ctx context.Context) (err error) {
		keys, err = s.claimKeys(ctx, r, after, int32(limit)+1) //nolint:gosec // bounded by MaxPage
		return err
	})
	if err != nil {
		return nil, "", err
	}
	more := len(keys) > limit
	if more {
		keys = keys[:limit]
	}
	if page, err = s.show(ctx, r.Tenant, keys); err != nil || !more {
		return page, "", err
	}
	// A claim whose rows were removed since its key was read is the end of the page: older ones are gone too.
	if len(page) == 0 {
		return page, "", nil
	}
	last := page[len(page)-1]
	at := last.ClaimedAt
	if r.Status == statusReleased && r.Entity == "" && last.ReleasedAt != nil {
		at = *last.ReleasedAt
	}
	return page, cursor{at: at, key: fmt.Sprintf("%s %d", last.ConsumerID, last.Epoch), epoch: last.Epoch}.String(), nil
}

// claimKeys asks the index that has the claims in order.
func (s *Service) claimKeys(ctx context.Context, r ClaimsRequest, after cursor, rows int32) ([]claimKey, error) {
	switch {
	case r.Entity != "":
		found, err := s.queries.ClaimsOfEntity(ctx, s.Pool, db.ClaimsOfEntityParams{
			TenantID: r.Tenant, EntityURL: r.Entity, Status: r.Status, RunnerID: r.Runner, BeforeEpoch: after.epoch, MaxRows: rows,
		})
		return keysOf(found), err
	case r.Status == "active":
		return s.queries.ClaimsActive(ctx, s.Pool, db.ClaimsActiveParams{
			TenantID: r.Tenant, RunnerID: r.Runner, BeforeAt: after.at, BeforeKey: after.key, MaxRows: rows,
		})
	case r.Status == "expired" || r.Status == "failed":
		found, err := s.queries.ClaimsTroubled(ctx, s.Pool, db.ClaimsTroubledParams{
			TenantID: r.Tenant, RunnerID: r.Runner, Status: r.Status, BeforeAt: after.at, BeforeKey: after.key, MaxRows: rows,
		})
		return keysOf(found), err
	}
	transition := "claimed"
	if r.Status == statusReleased {
		transition = r.Status
	}
	found, err := s.queries.ClaimsNewest(ctx, s.Pool, db.ClaimsNewestParams{
		TenantID: r.Tenant, RunnerID: r.Runner, Transition: transition, BeforeAt: after.at, BeforeKey: after.key, MaxRows: rows,
	})
	return keysOf(found), err
}

func keysOf[T db.ClaimsOfEntityRow | db.ClaimsTroubledRow | db.ClaimsNewestRow](rows []T) []claimKey {
	keys := make([]claimKey, len(rows))
	for i, row := range rows {
		keys[i] = claimKey(row)
	}
	return keys
}

// show reads claims with their leases, in the order of the keys.
func (s *Service) show(ctx context.Context, tenant string, keys []claimKey) ([]Claim, error) {
	arg := db.ShowClaimsParams{TenantID: tenant, Ords: pg.Ords(len(keys))}
	for _, k := range keys {
		arg.ConsumerIDs = append(arg.ConsumerIDs, k.ConsumerID)
		arg.Epochs = append(arg.Epochs, k.Epoch)
	}
	claims := make([]Claim, 0, len(keys))
	if len(keys) == 0 {
		return claims, nil
	}
	var rows []db.ShowClaimsRow
	err := s.read(ctx, "claims", func(ctx context.Context) (err error) {
		rows, err = s.queries.ShowClaims(ctx, s.Pool, arg)
		return err
	})
	for _, row := range rows {
		claims = append(claims, claimOf(row))
	}
	return claims, err
}

func claimOf(row db.ShowClaimsRow) Claim {
	c := row.WakelatchConsumerClaim
	view := Claim{
		ConsumerID: c.ConsumerID, Epoch: c.Epoch, EntityURL: c.EntityURL, StreamPath: "/" + c.StreamPath, RunnerID: c.RunnerID,
		Status: c.Status, ClaimedAt: c.ClaimedAt.UTC(), ConfirmedAt: utc(c.ConfirmedAt), DoneAt: utc(c.DoneAt), DoneOutcome: c.DoneOutcome,
		ReleasedAt: utc(c.ReleasedAt), ReleaseCause: c.ReleaseCause, ReleasedBy: c.ReleasedBy, EntityCleared: c.EntityCleared,
		LeaseExpiresAt: utc(row.ExpiresAt), LastHeartbeatAt: utc(row.LastHeartbeatAt),
	}
	if row.ExpiresAt != nil {
		view.LeaseRemainingMS = &row.LeaseRemainingMs
	}
	return view
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
