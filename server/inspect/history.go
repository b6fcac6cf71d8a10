package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
)

// Event is one thing that happened. What kind says is whose history it belongs to first: a claim's transition, or an
// action on an entity or a runner.
type Event struct {
	At            time.Time       `json:"at"`
	Kind          string          `json:"kind"`
	What          string          `json:"what"`
	ConsumerID    string          `json:"consumer_id,omitempty"`
	Epoch         int64           `json:"epoch,omitempty"`
	EntityURL     string          `json:"entity_url,omitempty"`
	RunnerID      string          `json:"runner_id,omitempty"`
	Cause         string          `json:"cause,omitempty"`
	EntityCleared *bool           `json:"entity_cleared,omitempty"`
	Actor         string          `json:"actor"`
	Reason        string          `json:"reason,omitempty"`
	Details       json.RawMessage `json:"details,omitempty"`
}

// HistoryRequest asks for a page of what happened to an entity or a runner.
type HistoryRequest struct {
	Tenant string
	// Subject is the entity's URL or the runner's id.
	Subject string
	// After is the cursor of the page before.
	After string
	// Limit is the length of a page; 0 is DefaultPage, and more than MaxPage is MaxPage.
	Limit int
}

// EntityHistory returns a page of what happened to an entity, and the cursor of the next one if there are more. The
// history outlives the entity. It fails with ErrNotFound if there never was one.
func (s *Service) EntityHistory(ctx context.Context, r HistoryRequest) (page []Event, next string, err error) {
	return s.history(ctx, r, "entity",
		func(ctx context.Context, q historyQuery) ([]db.EntityHistoryRow, error) {
			return s.queries.EntityHistory(ctx, s.Pool, db.EntityHistoryParams{
				TenantID: r.Tenant, EntityURL: r.Subject, BeforeAt: q.after.at, BeforeKey: q.after.key, MaxRows: q.rows,
			})
		},
		func(ctx context.Context) (bool, error) {
			return s.queries.KnownEntity(ctx, s.Pool, db.KnownEntityParams{TenantID: r.Tenant, EntityURL: r.Subject})
		})
}

// RunnerHistory is EntityHistory for a runner: its claims' transitions, and what was done to it.
func (s *Service) RunnerHistory(ctx context.Context, r HistoryRequest) (page []Event, next string, err error) {
	return s.history(ctx, r, "runner",
		func(ctx context.Context, q historyQuery) ([]db.EntityHistoryRow, error) {
			found, err := s.queries.RunnerHistory(ctx, s.Pool, db.RunnerHistoryParams{
				TenantID: r.Tenant, RunnerID: r.Subject, BeforeAt: q.after.at, BeforeKey: q.after.key, MaxRows: q.rows,
			})
			rows := make([]db.EntityHistoryRow, len(found))
			for i, row := range found {
				rows[i] = db.EntityHistoryRow(row)
			}
			return rows, err
		},
		func(ctx context.Context) (bool, error) {
			return s.queries.KnownRunner(ctx, s.Pool, db.KnownRunnerParams{TenantID: r.Tenant, ID: r.Subject})
		})
}

type historyQuery struct {
	after cursor
	rows  int32
}

func (s *Service) history(ctx context.Context, r HistoryRequest, kind string,
	find func(context.Context, historyQuery) ([]db.EntityHistoryRow, error), known func(context.Context) (bool, error),
) (page []Event, next string, err error) {
	if err := checkFilter(kind, r.Subject); err != nil {
		return nil, "", err
	}
	after, err := parseCursor(r.After)
	if err != nil {
		return nil, "", err
	}
	limit := pageOf(r.Limit)
	var rows []db.EntityHistoryRow
	exists := true
	err = s.read(ctx, "history of "+kind+" "+r.Subject, func(ctx context.Context) (err error) {
		rows, err = find(ctx, historyQuery{after: after, rows: int32(limit) + 1}) //nolint:gosec // bounded by MaxPage
		if err == nil && len(rows) == 0 {
			exists, err = known(ctx)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, "", err
	case !exists:
		return nil, "", fmt.Errorf("%s %s: %w", kind, r.Subject, ErrNotFound)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		next = cursor{at: last.At, key: last.Key}.String()
	}
	page = make([]Event, len(rows))
	for i, row := range rows {
		page[i] = eventOf(row)
	}
	return page, next, nil
}

func eventOf(row db.EntityHistoryRow) Event {
	return Event{
		At: row.At.UTC(), Kind: row.Kind, What: row.What, ConsumerID: row.ConsumerID, Epoch: row.Epoch, EntityURL: row.EntityURL,
		RunnerID: row.RunnerID, Cause: row.Cause, EntityCleared: row.EntityCleared, Actor: row.Actor, Reason: row.Reason,
		Details: row.Details,
	}
}
