package entity

import (
	"context"
	"fmt"
	"unicode"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const (
	maxTagKeyBytes   = 256
	maxTagValueBytes = 4096
	maxTags          = 128
)

// TagRequest sets or deletes a tag. With a holder the write is fenced like an append of that claim.
type TagRequest struct {
	Tenant    string
	EntityURL string
	Key       string
	Value     string
	Holder    *stream.Holder
}

type tagValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// SetTag sets a tag and appends the change to the entity's stream. It fails with ErrNotFound, ErrFenced or a
// NotRunningError. The txid is the tag event's.
func (s *Service) SetTag(ctx context.Context, r TagRequest) (e Entity, txid string, err error) {
	if err := checkTagValue(r.Value); err != nil {
		return Entity{}, "", err
	}
	return s.writeTag(ctx, r, false)
}

// DeleteTag deletes a tag like SetTag sets one; a tag that is not there is no error.
func (s *Service) DeleteTag(ctx context.Context, r TagRequest) (e Entity, txid string, err error) {
	return s.writeTag(ctx, r, true)
}

func (s *Service) writeTag(ctx context.Context, r TagRequest, remove bool) (e Entity, txid string, err error) {
	if err := checkTagKey(r.Key); err != nil {
		return Entity{}, "", err
	}
	key := newKey("tag")
	txid = txidOf(r.Tenant, r.EntityURL, key)
	change := event{Type: "tags", Key: r.Key, Headers: map[string]string{"timestamp": timestamp(), "txid": txid, "operation": "delete"}}
	if !remove {
		change.Value = tagValue{Key: r.Key, Value: r.Value}
		change.Headers["operation"] = "upsert"
	}
	content, err := encode(change)
	if err != nil {
		return Entity{}, "", err
	}
	arg := db.WriteTagParams{
		TenantID: r.Tenant, URL: r.EntityURL, Key: r.Key, Value: r.Value, Remove: remove, MaxTags: maxTags,
		EventKey: key, Body: content.Body, OffsetMarks: content.Marks, Size: content.Size(),
	}
	if r.Holder != nil {
		arg.Held, arg.ConsumerID, arg.Epoch = true, r.Holder.Consumer, r.Holder.Epoch
	}
	row, found, err := s.runTagWrite(ctx, arg)
	switch {
	case err != nil:
		return Entity{}, "", fmt.Errorf("write tag %q of entity %s: %w", r.Key, r.EntityURL, err)
	case !found && r.Holder != nil:
		return Entity{}, "", ErrFenced
	case !found:
		return Entity{}, "", fmt.Errorf("entity %s: %w", r.EntityURL, ErrNotFound)
	case row.Outcome == "fenced":
		return Entity{}, "", ErrFenced
	case row.Outcome == "not_running":
		return Entity{}, "", &NotRunningError{Status: row.Status}
	case row.Outcome == "too_many":
		return Entity{}, "", tooManyTags(clip(r.Key))
	case row.Outcome == "written", row.Outcome == "written_before":
		s.Hub.StreamChanged(r.Tenant, row.Path, row.Tail)
		s.Hub.EntityChanged(r.Tenant, r.EntityURL, row.Version)
	}
	e, err = s.Get(ctx, r.Tenant, r.EntityURL)
	return e, txid, err
}

func (s *Service) runTagWrite(ctx context.Context, arg db.WriteTagParams) (row db.WriteTagRow, found bool, err error) {
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		var p pg.Pipeline
		var rows []db.WriteTagRow
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.LockEntities(ctx, conn, db.LockEntitiesParams{TenantIDs: []string{arg.TenantID}, EntityURLs: []string{arg.URL}})
		})
		p.Exec(func(ctx context.Context, conn pg.Conn) error {
			return s.queries.LockStreams(ctx, conn, db.LockStreamsParams{TenantIDs: []string{arg.TenantID}, Paths: []string{claim.MainStream(arg.URL)}})
		})
		pg.Many(&p, &rows, func(ctx context.Context, conn pg.Conn) ([]db.WriteTagRow, error) {
			return s.queries.WriteTag(ctx, conn, arg)
		})
		if err := p.Run(ctx, s.Pool); err != nil {
			return err
		}
		if found = len(rows) == 1; found {
			row = rows[0]
		}
		return nil
	})
	return row, found, err
}

func tooManyTags(value string) error {
	return &InvalidError{Field: "tags", Value: value, Why: fmt.Sprintf("an entity has at most %d tags; delete one first", maxTags)}
}

func checkTagValue(value string) error {
	if len(value) > maxTagValueBytes {
		return &InvalidError{Field: "value", Value: clip(value), Why: fmt.Sprintf("must be at most %d bytes long", maxTagValueBytes)}
	}
	return nil
}

func checkTagKey(key string) error {
	if key == "" || len(key) > maxTagKeyBytes {
		return &InvalidError{Field: "key", Value: clip(key), Why: fmt.Sprintf("must be 1 to %d bytes long", maxTagKeyBytes)}
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return &InvalidError{Field: "key", Value: clip(key), Why: "must hold printable characters only"}
		}
	}
	return nil
}
