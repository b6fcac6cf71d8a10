package entity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Status values of an entity.
const (
	StatusIdle     = "idle"
	StatusRunning  = "running"
	StatusPaused   = "paused"
	StatusStopping = "stopping"
	StatusStopped  = "stopped"
	StatusKilled   = "killed"
)

// Entity is the public view of an entity. Version grows with every change of status or tags.
type Entity struct {
	URL            string          `json:"url"`
	Type           string          `json:"type"`
	Status         string          `json:"status"`
	Version        int64           `json:"version"`
	Streams        Streams         `json:"streams"`
	Tags           json.RawMessage `json:"tags"`
	SpawnArgs      json.RawMessage `json:"spawn_args"`
	DispatchPolicy json.RawMessage `json:"dispatch_policy"`
	CreatedBy      string          `json:"created_by"`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`
	// ParkedReason says what parked the entity; nil for one that is not parked.
	ParkedReason *string `json:"parked_reason"`
}

// Streams are the paths of an entity's streams.
type Streams struct {
	Main string `json:"main"`
}

func fromRow(row db.GetEntityRow) Entity {
	r := row.WakelatchEntity
	e := Entity{
		URL: r.URL, Type: r.Type, Status: r.Status, Version: r.Version, Streams: Streams{Main: r.URL + "/main"},
		Tags: r.Tags, SpawnArgs: r.SpawnArgs, DispatchPolicy: r.DispatchPolicy,
		CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, ParkedReason: row.ParkedReason,
	}
	if e.DispatchPolicy == nil {
		e.DispatchPolicy = json.RawMessage("null")
	}
	return e
}

// Get returns an entity, or ErrNotFound.
func (s *Service) Get(ctx context.Context, tenant, url string) (Entity, error) {
	row, err := s.get(ctx, tenant, url)
	if err != nil {
		return Entity{}, err
	}
	return fromRow(row), nil
}

func (s *Service) get(ctx context.Context, tenant, url string) (db.GetEntityRow, error) {
	var row db.GetEntityRow
	err := pg.RideOut(ctx, s.RideOut, func(ctx context.Context) (err error) {
		row, err = s.queries.GetEntity(ctx, s.Pool, db.GetEntityParams{TenantID: tenant, URL: url})
		return err
	})
	switch {
	case pg.IsNoRows(err):
		return row, fmt.Errorf("entity %s: %w", url, ErrNotFound)
	case err != nil:
		return row, fmt.Errorf("get entity %s: %w", url, err)
	}
	return row, nil
}

// Wait returns the entity once its version is above version, or ErrTimeout.
func (s *Service) Wait(ctx context.Context, tenant, url string, version int64) (Entity, error) {
	// Subscribed before the first read, so that no change falls between reading and waiting.
	news := s.Hub.WatchEntity(tenant, url)
	defer news.Close()
	timeout := time.NewTimer(s.LongPoll)
	defer timeout.Stop()
	for {
		e, err := s.Get(ctx, tenant, url)
		if err != nil || e.Version > version {
			return e, err
		}
		news.Saw(e.Version)
		select {
		case <-news.C():
		case <-timeout.C:
			return Entity{}, ErrTimeout
		case <-ctx.Done():
			return Entity{}, ctx.Err()
		}
	}
}

// maxPage bounds a listing.
const maxPage = 1000

// ListRequest selects entities of a tenant; empty fields select all.
type ListRequest struct {
	Tenant string
	Type   string
	Status string
	Runner string // the runner that their wakes go to
	Parked bool   // only those that are parked
	After  string // the url to go on after
	Limit  int    // at most maxPage; 0 is 100
}

// check refuses what no entity has: an empty page would say that there is none yet.
func (r ListRequest) check() error {
	statuses := []string{"", StatusIdle, StatusRunning, StatusPaused, StatusStopping, StatusStopped, StatusKilled}
	if !slices.Contains(statuses, r.Status) {
		return &InvalidError{Field: "status", Value: clip(r.Status), Why: "must be idle, running, paused, stopping, stopped or killed"}
	}
	if r.Type != "" && entitytype.CheckName(r.Type) != nil {
		return &InvalidError{Field: "type", Value: clip(r.Type), Why: "must be a type's name"}
	}
	if !utf8.ValidString(r.Runner) || strings.ContainsRune(r.Runner, 0) {
		return &InvalidError{Field: "runner", Value: clip(r.Runner), Why: "must be a runner's id"}
	}
	return nil
}

// List returns a page of entities by url, and whether there are more.
func (s *Service) List(ctx context.Context, r ListRequest) (page []Entity, more bool, err error) {
	if err := r.check(); err != nil {
		return nil, false, err
	}
	if r.Limit == 0 {
		r.Limit = 100
	}
	if r.Limit < 0 || r.Limit > maxPage {
		return nil, false, &InvalidError{Field: "limit", Value: strconv.Itoa(r.Limit), Why: fmt.Sprintf("must be from 1 to %d", maxPage)}
	}
	var rows []db.ListEntitiesRow
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) (err error) {
		rows, err = s.queries.ListEntities(ctx, s.Pool, db.ListEntitiesParams{
			TenantID: r.Tenant, Type: r.Type, Status: r.Status, RunnerID: r.Runner, Parked: r.Parked,
			After: r.After, MaxRows: int32(r.Limit) + 1, //nolint:gosec // bounded above
		})
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list entities: %w", err)
	}
	if more = len(rows) > r.Limit; more {
		rows = rows[:r.Limit]
	}
	page = make([]Entity, len(rows))
	for i, row := range rows {
		page[i] = fromRow(db.GetEntityRow(row))
	}
	return page, more, nil
}
