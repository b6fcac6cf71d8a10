package entity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	maxIDBytes   = 256
	maxArgsBytes = 256 << 10
)

// SpawnRequest makes an entity. JSON fields left nil are empty; without a dispatch policy the type's
// default holds.
type SpawnRequest struct {
	Tenant         string
	Type           string
	ID             string
	Principal      string
	Args           json.RawMessage
	Tags           json.RawMessage // an object of strings
	DispatchPolicy json.RawMessage
	InitialMessage json.RawMessage // the payload of the first message
}

// Spawn makes an entity with its stream and, in the same transaction, sends its first message. It fails
// with an ExistsError, ErrUnknownType or ErrUnknownRunner. The txid is the first message's.
func (s *Service) Spawn(ctx context.Context, r SpawnRequest) (e Entity, txid string, err error) {
	url, err := CheckURL(r.Type, r.ID)
	if err != nil {
		return Entity{}, "", err
	}
	row := db.InsertEntityParams{
		TenantID: r.Tenant, URL: url, Type: r.Type, Tags: orEmptyObject(r.Tags), SpawnArgs: orEmptyObject(r.Args), CreatedBy: r.Principal,
	}
	if err := errors.Join(checkArgs(row.SpawnArgs), checkTags(row.Tags)); err != nil {
		return Entity{}, "", err
	}
	if row.DispatchPolicy, row.DispatchRunnerID, err = s.policy(ctx, r); err != nil {
		return Entity{}, "", err
	}
	var messages []message
	row.SpawnTxid = txidOf(r.Tenant, url, newKey("spawn"))
	if len(r.InitialMessage) > 0 && string(r.InitialMessage) != "null" {
		m, messageTxid, err := s.newMessage(SendRequest{Tenant: r.Tenant, EntityURL: url, Principal: r.Principal, Payload: r.InitialMessage})
		if err != nil {
			return Entity{}, "", err
		}
		messages, row.SpawnTxid = []message{m}, messageTxid
	}
	sent, err := s.insert(ctx, row, messages)
	exists := pg.ConstraintName(err) == "entities_pkey"
	if err != nil && !exists {
		return Entity{}, "", fmt.Errorf("spawn entity %s: %w", url, err)
	}
	made, err := s.get(ctx, r.Tenant, url)
	switch {
	case err != nil:
		return Entity{}, "", err
	case made.WakelatchEntity.SpawnTxid != row.SpawnTxid:
		return Entity{}, "", &ExistsError{Entity: fromRow(made)}
	case !exists: // else it was made by an attempt whose answer was lost
		s.announceSend(messages, sent)
	}
	return fromRow(made), row.SpawnTxid, nil
}

// insert is one pipeline: an entity that exists already fails it as a whole.
func (s *Service) insert(ctx context.Context, row db.InsertEntityParams, messages []message) (done *sent, err error) {
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		var p pg.Pipeline
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.InsertDispatch(ctx, conn, db.InsertDispatchParams{TenantID: row.TenantID, EntityURL: row.URL})
		})
		p.Exec(func(ctx context.Context, conn pg.Conn) error { return s.queries.InsertEntity(ctx, conn, row) })
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.InsertMainStream(ctx, conn, db.InsertMainStreamParams{TenantID: row.TenantID, Path: claim.MainStream(row.URL)})
		})
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.InsertAction(ctx, conn, db.InsertActionParams{
				TenantID: row.TenantID, ID: "spawn-" + row.SpawnTxid, Action: "spawned", EntityURL: row.URL, Actor: row.CreatedBy,
			})
		})
		done = s.queueSend(&p, messages)
		return p.Run(ctx, s.Pool)
	})
	return done, err
}

// policy is the spawn's own dispatch policy or the type's default, and the runner it names.
func (s *Service) policy(ctx context.Context, r SpawnRequest) (policy, runnerID string, err error) {
	var targets db.SpawnTargetsRow
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) (err error) {
		targets, err = s.queries.SpawnTargets(ctx, s.Pool, db.SpawnTargetsParams{TenantID: r.Tenant, Type: r.Type})
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("read entity type %q: %w", r.Type, err)
	}
	if !targets.TypeExists {
		return "", "", fmt.Errorf("entity type %q: %w", r.Type, ErrUnknownType)
	}
	policy = targets.DefaultPolicy
	if given := string(r.DispatchPolicy); given != "" && given != "null" {
		policy = given
	}
	if policy == "" || policy == "null" {
		return "", "", nil
	}
	if runnerID, err = entitytype.ParsePolicy(json.RawMessage(policy)); err != nil || runnerID == "" {
		return policy, "", err
	}
	if err := s.checkRunner(ctx, r.Tenant, runnerID); err != nil {
		return "", "", err
	}
	return policy, runnerID, nil
}

// checkRunner fails with ErrUnknownRunner for a runner that is not registered.
func (s *Service) checkRunner(ctx context.Context, tenant, id string) error {
	var known bool
	err := pg.RideOut(ctx, s.RideOut, func(ctx context.Context) (err error) {
		known, err = s.queries.RunnerExists(ctx, s.Pool, db.RunnerExistsParams{TenantID: tenant, ID: id})
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("read runner %q: %w", id, err)
	case !known:
		return fmt.Errorf("runner %q: %w", id, ErrUnknownRunner)
	}
	return nil
}

func orEmptyObject(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return "{}"
	}
	return string(raw)
}

// checkArgs bounds what every claim of the entity is answered with.
func checkArgs(text string) error {
	if len(text) > maxArgsBytes {
		return &InvalidError{Field: "args", Value: clip(text), Why: fmt.Sprintf("must be at most %d bytes long", maxArgsBytes)}
	}
	return nil
}

func checkTags(tags string) error {
	var values map[string]*string
	if err := json.Unmarshal([]byte(tags), &values); err != nil {
		return &InvalidError{Field: "tags", Value: clip(tags), Why: "must be an object whose values are strings"}
	}
	if len(values) > maxTags {
		return tooManyTags(clip(tags))
	}
	for key, value := range values {
		if value == nil {
			return &InvalidError{Field: "tags", Value: clip(tags), Why: "must be an object whose values are strings"}
		}
		if err := errors.Join(checkTagKey(key), checkTagValue(*value)); err != nil {
			return err
		}
	}
	return nil
}

func clip(text string) string {
	const limit = 80
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}
