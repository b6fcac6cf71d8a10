package apikey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/wakelatch/wakelatch/server/principal"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	maxTenant = 64
	maxLabel  = 200
	maxReason = 1000
	// MaxExpiry is the longest time that a key may be asked to live.
	MaxExpiry = 10 * 365 * 24 * time.Hour
	page      = 500
	attempts  = 3
)

// Info is a key as lists show it: everything but its secret.
type Info struct {
	ID            string     `json:"id"`
	Tenant        string     `json:"tenant"`
	Principal     string     `json:"principal"`
	Role          Role       `json:"role"`
	Label         string     `json:"label"`
	Status        string     `json:"status"`
	CreatedAt     time.Time  `json:"created_at"`
	CreatedBy     string     `json:"created_by"`
	ExpiresAt     *time.Time `json:"expires_at"`
	RevokedAt     *time.Time `json:"revoked_at"`
	RevokedBy     *string    `json:"revoked_by"`
	RevokedReason *string    `json:"revoked_reason"`
}

// CreateRequest asks for a key.
type CreateRequest struct {
	Tenant    string
	Principal string
	Role      Role
	Label     string
	// ExpiresIn is how long the key works; 0 is for ever.
	ExpiresIn time.Duration
	// By is who makes it.
	By string
}

func (r CreateRequest) check() (principal.Principal, error) {
	var wrong []error
	if !isTenant(r.Tenant) {
		wrong = append(wrong, invalid("tenant", fmt.Sprintf("must be 1 to %d letters, digits, dots, dashes or underscores", maxTenant)))
	}
	who, err := principal.Parse(r.Principal)
	if err != nil {
		wrong = append(wrong, invalid("principal", "must read kind:id, for example user:alice"))
	}
	if !slices.Contains(Roles(), r.Role) {
		wrong = append(wrong, invalid("role", "must be viewer, client, runner or admin"))
	}
	if len(r.Label) > maxLabel || !utf8.ValidString(r.Label) || slices.Contains([]byte(r.Label), 0) {
		wrong = append(wrong, invalid("label", fmt.Sprintf("must be text of at most %d bytes", maxLabel)))
	}
	if r.ExpiresIn < 0 || r.ExpiresIn > MaxExpiry || r.ExpiresIn > 0 && r.ExpiresIn < time.Millisecond {
		wrong = append(wrong, invalid("expires-in", "must be a duration of at most ten years; leave it out for a key that does not expire"))
	}
	return who, errors.Join(wrong...)
}

func isTenant(text string) bool {
	for _, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return text != "" && len(text) <= maxTenant
}

// Manager makes, lists and revokes keys.
type Manager struct {
	db      pg.Conn
	queries *db.Queries
}

// NewManager works on a database.
func NewManager(conn pg.Conn) *Manager { return &Manager{db: conn, queries: db.New()} }

// Create makes a key. The text is the key itself: it is kept nowhere and cannot be shown again.
func (m *Manager) Create(ctx context.Context, r CreateRequest) (made Info, text string, err error) {
	who, err := r.check()
	if err != nil {
		return Info{}, "", err
	}
	for range attempts {
		id, text := generate()
		sum := hash(text)
		n, err := m.queries.InsertAPIKey(ctx, m.db, db.InsertAPIKeyParams{
			ID: id, TenantID: r.Tenant, SecretHash: sum[:], Principal: who.Key(), Role: string(r.Role), Label: r.Label,
			CreatedBy: r.By, ExpiresInMs: r.ExpiresIn.Milliseconds(),
		})
		if err != nil {
			return Info{}, "", fmt.Errorf("insert api key: %w", err)
		}
		if n == 1 {
			made, err = m.Get(ctx, id)
			return made, text, err
		}
	}
	return Info{}, "", errors.New("make api key: every id that was tried is taken; try again")
}

// Get returns one key.
func (m *Manager) Get(ctx context.Context, id string) (Info, error) {
	found, err := m.list(ctx, db.ListAPIKeysParams{ID: id, MaxRows: 1})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("api key %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Info{}, err
	}
	return found[0], nil
}

// List returns every key of a tenant, or with "" of all.
func (m *Manager) List(ctx context.Context, tenant string) ([]Info, error) {
	if tenant != "" && !isTenant(tenant) {
		return nil, invalid("tenant", "is not the name of a tenant")
	}
	all := []Info{}
	for after := (Info{}); ; after = all[len(all)-1] {
		next, err := m.list(ctx, db.ListAPIKeysParams{TenantID: tenant, AfterTenant: after.Tenant, AfterID: after.ID, MaxRows: page})
		if err != nil {
			return nil, err
		}
		all = append(all, next...)
		if len(next) < page {
			return all, nil
		}
	}
}

func (m *Manager) list(ctx context.Context, p db.ListAPIKeysParams) ([]Info, error) {
	rows, err := m.queries.ListAPIKeys(ctx, m.db, p)
	if err != nil {
		return nil, fmt.Errorf("list api keys: %w", err)
	}
	out := make([]Info, len(rows))
	for i, r := range rows {
		out[i] = Info{
			ID: r.ID, Tenant: r.TenantID, Principal: r.Principal, Role: Role(r.Role), Label: r.Label, Status: r.Status,
			CreatedAt: r.CreatedAt.UTC(), CreatedBy: r.CreatedBy, ExpiresAt: utc(r.ExpiresAt),
			RevokedAt: utc(r.RevokedAt), RevokedBy: r.RevokedBy, RevokedReason: r.RevokedReason,
		}
	}
	return out, nil
}

// Revoke ends a key. One that was revoked before keeps who did it and why.
func (m *Manager) Revoke(ctx context.Context, id, by, reason string) (Info, error) {
	if reason == "" || len(reason) > maxReason || !utf8.ValidString(reason) || slices.Contains([]byte(reason), 0) {
		return Info{}, invalid("reason", fmt.Sprintf("must be text of 1 to %d bytes", maxReason))
	}
	if len(id) != idLen || !alphabetic(id) {
		// It may be a whole key, which must not be repeated.
		return Info{}, invalid("id", "must be the part of a key between wl_ and the secret, as wakelatch keys list shows it")
	}
	if err := m.queries.RevokeAPIKey(ctx, m.db, db.RevokeAPIKeyParams{ID: id, RevokedBy: by, RevokedReason: reason}); err != nil {
		return Info{}, fmt.Errorf("revoke api key %q: %w", id, err)
	}
	return m.Get(ctx, id)
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
