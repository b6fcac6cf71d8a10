package entity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// MaxDelay is the longest that a message may be delayed.
const MaxDelay = 30 * 24 * time.Hour

// Inserter inserts the job that sends a delayed message, in the transaction that accepted it.
type Inserter interface {
	InsertDelayed(ctx context.Context, tx pgx.Tx, message args.SendDelayed, at time.Time) error
}

// SendLater accepts a message that is sent after so many milliseconds: not before, and usually within six seconds
// from then. It
// is refused as Send would refuse it now. When it is due it is sent like any other message, so its key counts from then
// on; if the entity takes no more messages by then, or is deleted, it is dropped, which the history tells. Messages that
// are due at about the same time come in any order.
func (s *Service) SendLater(ctx context.Context, r SendRequest, afterMS int64) error {
	if afterMS < 0 || afterMS > MaxDelay.Milliseconds() {
		return &InvalidError{
			Field: "afterMs", Value: strconv.FormatInt(afterMS, 10),
			Why: fmt.Sprintf("must be from 0 to %d (30 days)", MaxDelay.Milliseconds()),
		}
	}
	m, _, err := s.newMessage(r)
	if err != nil {
		return err
	}
	r = m.request
	var found []db.DelayTargetRow
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		return pg.InTx(ctx, s.Pool, func(tx pgx.Tx) (err error) {
			found, err = s.queries.DelayTarget(ctx, tx, db.DelayTargetParams{TenantID: r.Tenant, URL: r.EntityURL, AfterMs: afterMS})
			if err != nil || len(found) == 0 || !takesMessages(found[0].Status) {
				return err
			}
			return s.Jobs.InsertDelayed(ctx, tx, args.SendDelayed{
				Tenant: r.Tenant, EntityURL: r.EntityURL, SpawnTxID: found[0].SpawnTxid,
				Key: r.Key, Type: r.Type, Mode: r.Mode, Principal: r.Principal, Payload: r.Payload,
			}, found[0].DueAt)
		})
	})
	switch {
	case err != nil:
		return fmt.Errorf("delay message to entity %s: %w", r.EntityURL, err)
	case len(found) == 0:
		return fmt.Errorf("entity %s: %w", r.EntityURL, ErrNotFound)
	case !takesMessages(found[0].Status):
		return &NotRunningError{Status: found[0].Status}
	}
	return nil
}

func takesMessages(status string) bool {
	return status == StatusIdle || status == StatusRunning || status == StatusPaused
}

// SendDelayed sends a message that is due, once, however often it is called.
func (s *Service) SendDelayed(ctx context.Context, d args.SendDelayed) error {
	m, txid, err := s.newMessage(SendRequest{
		Tenant: d.Tenant, EntityURL: d.EntityURL, Principal: d.Principal, Key: d.Key, Type: d.Type, Mode: d.Mode,
		Payload: json.RawMessage(d.Payload),
	})
	if err != nil {
		return err
	}
	m.spawnTxID = d.SpawnTxID
	err = s.deliver(ctx, m)
	switch {
	case err == nil:
		s.metrics.delayed.WithLabelValues(delayedSent).Inc()
		return nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNotRunning):
		return s.drop(ctx, d, txid, err)
	}
	return fmt.Errorf("send delayed message to entity %s: %w", d.EntityURL, err)
}

// drop notes a message that its entity does not take any more.
func (s *Service) drop(ctx context.Context, d args.SendDelayed, txid string, cause error) error {
	details, err := json.Marshal(map[string]string{"key": d.Key, "type": d.Type, "txid": txid})
	if err != nil {
		return fmt.Errorf("encode details of a dropped message: %w", err)
	}
	why := "the entity was deleted before the delayed message was due"
	if refused, ok := errors.AsType[*NotRunningError](cause); ok {
		why = "the entity was " + refused.Status + " when the delayed message was due"
	}
	if err := s.queries.InsertAction(ctx, s.Pool, db.InsertActionParams{
		TenantID: d.Tenant, ID: "drop-" + d.SpawnTxID + "-" + txid, Action: "send_dropped", EntityURL: d.EntityURL, Actor: d.Principal,
		Reason: why, Details: string(details),
	}); err != nil {
		return fmt.Errorf("note that a delayed message to entity %s was dropped: %w", d.EntityURL, err)
	}
	s.metrics.delayed.WithLabelValues(delayedDropped).Inc()
	s.Logger.WarnContext(ctx, "delayed message dropped", "tenant_id", d.Tenant, "entity_url", d.EntityURL, "txid", txid, "reason", why)
	return nil
}
