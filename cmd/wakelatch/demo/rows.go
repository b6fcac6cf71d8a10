package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/sql/db"
)

const (
	glance        = 50 * time.Millisecond
	maxViolations = 20
	overdue       = 5 * time.Second // how long work may be on its way before the consistency query counts it
)

// Story is what the rows and the streams say, all of one moment.
type Story struct {
	Claims     []Claim
	Entries    []Entry // of each stream in its order
	Pending    []string
	Unheld     []string // entities that run without a claim
	Violations []string
}

// Claim is a row of the claims.
type Claim struct {
	Entity string
	Wake   string
	Epoch  int64
	Status string
	// Over is when nothing may be written under it any more; zero while that time has not come.
	Over time.Time
}

// Entry is an event in an entity's stream: a message, or what an agent wrote when it had handled one.
type Entry struct {
	Entity  string
	Offset  int64 // the end of its append
	At      time.Time
	Message int
	Epoch   int64 // of the claim it was handled under; 0 for the message itself
}

// rows reads the database, past the nodes.
type rows struct {
	pool    *pgxpool.Pool
	queries *db.Queries
}

// story reads everything in one snapshot.
func (r *rows) story(ctx context.Context) (Story, error) {
	var s Story
	err := pgx.BeginTxFunc(ctx, r.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		if s.Claims, err = claims(ctx, tx); err != nil {
			return err
		}
		if s.Entries, err = entries(ctx, tx); err != nil {
			return err
		}
		if s.Pending, err = urls(ctx, tx, `SELECT entity_url FROM wakelatch.entity_dispatch_state
			WHERE last_outside_seq > acked_seq ORDER BY entity_url`); err != nil {
			return err
		}
		if s.Unheld, err = urls(ctx, tx, `SELECT e.url FROM wakelatch.entities e
			JOIN wakelatch.entity_dispatch_state d ON d.tenant_id = e.tenant_id AND d.entity_url = e.url
			WHERE e.status = 'running' AND d.active_consumer_id IS NULL ORDER BY e.url`); err != nil {
			return err
		}
		found, err := r.queries.Violations(ctx, tx, db.ViolationsParams{OverdueMs: overdue.Milliseconds(), MaxRows: maxViolations})
		for _, v := range found {
			s.Violations = append(s.Violations, fmt.Sprintf("%s: %s: %s", v.Invariant, v.Subject, v.Detail))
		}
		return err
	})
	if err != nil {
		return Story{}, fmt.Errorf("read the database: %w", err)
	}
	return s, nil
}

func claims(ctx context.Context, tx pgx.Tx) ([]Claim, error) {
	found, err := tx.Query(ctx, `SELECT entity_url, consumer_id, epoch, status,
			coalesce(least(done_at, released_at), 'epoch'::timestamptz)
		FROM wakelatch.consumer_claims ORDER BY entity_url, epoch`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(row pgx.CollectableRow) (c Claim, err error) {
		err = row.Scan(&c.Entity, &c.Wake, &c.Epoch, &c.Status, &c.Over)
		if c.Over.Unix() == 0 {
			c.Over = time.Time{}
		}
		return c, err
	})
}

func urls(ctx context.Context, tx pgx.Tx, query string) ([]string, error) {
	found, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// entries are the events of the entities' streams. An append holds one or more, joined by commas.
func entries(ctx context.Context, tx pgx.Tx) ([]Entry, error) {
	found, err := tx.Query(ctx, `SELECT m.stream_path, m.end_offset, m.body, m.created_at
		FROM wakelatch.stream_messages m
		JOIN wakelatch.streams s ON s.tenant_id = m.tenant_id AND s.path = m.stream_path
		WHERE s.kind = 'main' ORDER BY m.stream_path, m.end_offset`)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []Entry
	for found.Next() {
		var path string
		var body []byte
		var e Entry
		if err := found.Scan(&path, &e.Offset, &body, &e.At); err != nil {
			return nil, err
		}
		e.Entity = "/" + strings.TrimSuffix(path, "/main")
		more, err := read(e, body)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, found.Err()
}

// read takes an append apart; e is what its events have in common.
func read(e Entry, body []byte) ([]Entry, error) {
	var events []struct {
		Type  string          `json:"type"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(append(append([]byte{'['}, body...), ']'), &events); err != nil {
		return nil, fmt.Errorf("append at %d of %s: %w", e.Offset, e.Entity, err)
	}
	var all []Entry
	for _, event := range events {
		var err error
		switch event.Type {
		case "inbox":
			var value struct {
				Payload message `json:"payload"`
			}
			err = json.Unmarshal(event.Value, &value)
			e.Message, e.Epoch = value.Payload.Number, 0
		case "handled":
			var value handling
			err = json.Unmarshal(event.Value, &value)
			e.Message, e.Epoch = value.Message, value.Epoch
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("event %q at %d of %s: %w", event.Type, e.Offset, e.Entity, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// confirmed says whether the claim that an agent works under is active and confirmed.
func (r *rows) confirmed(ctx context.Context, w report) (yes bool, err error) {
	err = r.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM wakelatch.consumer_claims
		WHERE consumer_id = $1 AND epoch = $2 AND status = 'active' AND confirmed_at IS NOT NULL AND done_at IS NULL)`,
		w.Wake, w.Epoch).Scan(&yes)
	if err != nil {
		return false, fmt.Errorf("look at the claim of %s epoch %d: %w", w.Entity, w.Epoch, err)
	}
	return yes, nil
}

// awaitHandled returns when the stream has that every message of a wake is handled.
func (r *rows) awaitHandled(ctx context.Context, w report) error {
	for {
		s, err := r.story(ctx)
		if err != nil {
			return err
		}
		n := 0
		for _, e := range s.Entries {
			if e.Entity == w.Entity && e.Epoch == w.Epoch {
				n++
			}
		}
		if n >= len(w.Messages) {
			return nil
		}
		if err := pause(ctx, glance); err != nil {
			return err
		}
	}
}
