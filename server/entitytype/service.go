package entitytype

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	maxDescription = 4096
	// How long a database that is away is not seen by callers.
	rideOut = 10 * time.Second
)

// The number of types on a page of List.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Type is a registered entity type, as the API shows it. A schema that was not registered is null.
type Type struct {
	Name                  string          `json:"name"`
	Description           string          `json:"description"`
	CreationSchema        json.RawMessage `json:"creation_schema"`
	InboxSchemas          json.RawMessage `json:"inbox_schemas"`
	StateSchemas          json.RawMessage `json:"state_schemas"`
	DefaultDispatchPolicy json.RawMessage `json:"default_dispatch_policy"`
	Revision              int64           `json:"revision"`
	CreatedAt             time.Time       `json:"created_at"`
	UpdatedAt             time.Time       `json:"updated_at"`
}

// Service keeps the entity types of every tenant. It may be used by any number of goroutines.
type Service struct {
	pool    *pgxpool.Pool
	queries *db.Queries
	log     *slog.Logger
}

// New makes a Service on the pool. It starts nothing.
func New(pool *pgxpool.Pool, log *slog.Logger) *Service {
	return &Service{pool: pool, queries: db.New(), log: log.With("component", "entitytype")}
}

// RegisterRequest is what a type is to be from now on. The schemas are JSON objects.
type RegisterRequest struct {
	Tenant                string
	Name                  string
	Description           string
	CreationSchema        json.RawMessage
	InboxSchemas          json.RawMessage
	StateSchemas          json.RawMessage
	DefaultDispatchPolicy json.RawMessage
}

// Register records a type. A type that exists is replaced, its revision goes up by one, and created is
// false. Entities keep the runner they were spawned with.
func (s *Service) Register(ctx context.Context, r RegisterRequest) (registered Type, created bool, err error) {
	if err := r.check(); err != nil {
		return Type{}, false, err
	}
	var row db.WakelatchEntityType
	// Repeated after a lost answer, it replaces the type by itself.
	err = pg.RideOut(ctx, rideOut, func(ctx context.Context) (err error) {
		row, err = s.queries.UpsertEntityType(ctx, s.pool, db.UpsertEntityTypeParams{
			TenantID: r.Tenant, Name: r.Name, Description: r.Description,
			CreationSchema: given(r.CreationSchema), InboxSchemas: given(r.InboxSchemas), StateSchemas: given(r.StateSchemas),
			DefaultDispatchPolicy: given(r.DefaultDispatchPolicy),
		})
		return err
	})
	if err != nil {
		return Type{}, false, fmt.Errorf("register entity type %q: %w", r.Name, err)
	}
	s.log.InfoContext(ctx, "entity type registered", "tenant_id", r.Tenant, "entity_type", r.Name, "revision", row.Revision)
	return fromRow(row), row.Revision == 1, nil
}

// Get returns one type.
func (s *Service) Get(ctx context.Context, tenant, name string) (Type, error) {
	if CheckName(name) != nil {
		return Type{}, ErrNotFound
	}
	var row db.WakelatchEntityType
	err := pg.RideOut(ctx, rideOut, func(ctx context.Context) (err error) {
		row, err = s.queries.GetEntityType(ctx, s.pool, db.GetEntityTypeParams{TenantID: tenant, Name: name})
		return err
	})
	if pg.IsNoRows(err) {
		return Type{}, ErrNotFound
	}
	if err != nil {
		return Type{}, fmt.Errorf("get entity type %q: %w", name, err)
	}
	return fromRow(row), nil
}

// List returns a page of a tenant's types in the order of their names, after the name given; more says
// whether another page follows. A limit of 0 means DefaultPage.
func (s *Service) List(ctx context.Context, tenant, after string, limit int) (types []Type, more bool, err error) {
	if after != "" && CheckName(after) != nil {
		return nil, false, invalid("after", after, "send the name the page before ended with")
	}
	if limit = min(limit, MaxPage); limit <= 0 {
		limit = DefaultPage
	}
	var rows []db.WakelatchEntityType
	err = pg.RideOut(ctx, rideOut, func(ctx context.Context) (err error) {
		rows, err = s.queries.ListEntityTypes(ctx, s.pool,
			db.ListEntityTypesParams{TenantID: tenant, After: after, MaxRows: int64(limit) + 1})
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list entity types: %w", err)
	}
	if len(rows) > limit {
		rows, more = rows[:limit], true
	}
	types = make([]Type, 0, len(rows))
	for _, row := range rows {
		types = append(types, fromRow(row))
	}
	return types, more, nil
}

func (r RegisterRequest) check() error {
	if err := CheckName(r.Name); err != nil {
		return err
	}
	if len(r.Description) > maxDescription || strings.ContainsRune(r.Description, 0) {
		return invalid("description", "", "it is longer than 4096 bytes or contains a NUL")
	}
	if strings.ToValidUTF8(r.Description, string(unicode.ReplacementChar)) != r.Description {
		return invalid("description", "", "it is not UTF-8")
	}
	for _, schema := range []struct {
		field string
		value json.RawMessage
	}{
		{"creation_schema", r.CreationSchema},
		{"inbox_schemas", r.InboxSchemas},
		{"state_schemas", r.StateSchemas},
	} {
		if value := given(schema.value); value != "" && (value[0] != '{' || !json.Valid([]byte(value))) {
			return invalid(schema.field, "", "it must be a JSON object")
		}
	}
	if _, err := ParsePolicy(r.DefaultDispatchPolicy); err != nil {
		return err
	}
	return nil
}

// given is the text of a JSON value, "" if there is none.
func given(raw json.RawMessage) string {
	if raw = bytes.TrimSpace(raw); bytes.Equal(raw, []byte("null")) {
		return ""
	}
	return string(raw)
}

func fromRow(row db.WakelatchEntityType) Type {
	return Type{
		Name: row.Name, Description: row.Description,
		CreationSchema: row.CreationSchema, InboxSchemas: row.InboxSchemas, StateSchemas: row.StateSchemas,
		DefaultDispatchPolicy: row.DefaultDispatchPolicy,
		Revision:              row.Revision, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
}
