package entity

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Signals that an entity takes.
const (
	SIGSTOP = "SIGSTOP" // paused: no wakes until SIGCONT or a message
	SIGCONT = "SIGCONT" // on again, armed if work is pending
	SIGTERM = "SIGTERM" // stopped once its claim, if any, is released
	SIGINT  = "SIGINT"  // told to the running agent; no change of status
	SIGKILL = "SIGKILL" // killed at once: claim released, stream closed
)

// SignalRequest is a signal to an entity.
type SignalRequest struct {
	Tenant    string
	EntityURL string
	Principal string
	Signal    string
	Reason    string
}

type signalValue struct {
	Signal string `json:"signal"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	Sender string `json:"sender"`
}

// Signal changes the entity's status and appends the signal to its stream, where alone a running agent
// learns of it. It fails with ErrNotFound or, for an entity that is stopping or has ended, a
// NotRunningError; SIGKILL is taken in every status. The txid is the signal event's.
func (s *Service) Signal(ctx context.Context, r SignalRequest) (e Entity, txid string, err error) {
	switch r.Signal {
	case SIGSTOP, SIGCONT, SIGTERM, SIGINT, SIGKILL:
	default:
		return Entity{}, "", &InvalidError{Field: "signal", Value: clip(r.Signal), Why: "must be SIGSTOP, SIGCONT, SIGTERM, SIGINT or SIGKILL"}
	}
	key := newKey("signal")
	txid = txidOf(r.Tenant, r.EntityURL, key)
	var done signalled
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		done = signalled{}
		return pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error { return s.signal(ctx, tx, r, key, txid, &done) })
	})
	if err != nil {
		return Entity{}, "", fmt.Errorf("signal entity %s: %w", r.EntityURL, err)
	}
	switch outcome := done.outcome(); outcome {
	case "":
		return Entity{}, "", fmt.Errorf("entity %s: %w", r.EntityURL, ErrNotFound)
	case "not_running":
		return Entity{}, "", &NotRunningError{Status: done.rows[0].Status}
	}
	s.announceSignal(ctx, r, done)
	e, err = s.Get(ctx, r.Tenant, r.EntityURL)
	return e, txid, err
}

type signalled struct {
	rows     []db.ApplySignalRow
	armed    *claim.Armed
	released *claim.Released
}

func (d *signalled) outcome() string {
	if len(d.rows) == 0 {
		return ""
	}
	return d.rows[0].Outcome
}

func (s *Service) signal(ctx context.Context, tx pgx.Tx, r SignalRequest, key, txid string, done *signalled) error {
	held, err := s.queries.LockDispatchForSignal(ctx, tx, db.LockDispatchForSignalParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
	if err != nil || len(held) == 0 {
		return err
	}
	path := claim.MainStream(r.EntityURL)
	var active []args.Claim
	status := "handled"
	if h := held[0]; h.ActiveConsumerID != nil {
		if r.Signal == SIGKILL {
			active = []args.Claim{{Tenant: r.Tenant, Consumer: *h.ActiveConsumerID, Epoch: *h.ActiveEpoch, Stream: path}}
		} else {
			status = "unhandled"
		}
	}
	content, err := encode(event{
		Type: "signal", Key: key, Value: signalValue{Signal: r.Signal, Status: status, Reason: r.Reason, Sender: r.Principal},
		Headers: map[string]string{"operation": "insert", "timestamp": timestamp(), "txid": txid},
	})
	if err != nil {
		return err
	}
	var p pg.Pipeline
	claim.QueueLocks(&p, s.queries, active)
	claim.LockEntityRows(&p, s.queries, []string{r.Tenant}, []string{r.EntityURL}, []string{path})
	pg.Many(&p, &done.rows, func(ctx context.Context, conn pg.Conn) ([]db.ApplySignalRow, error) {
		return s.queries.ApplySignal(ctx, conn, db.ApplySignalParams{
			TenantID: r.Tenant, URL: r.EntityURL, Signal: r.Signal, EventKey: key,
			Body: content.Body, OffsetMarks: content.Marks, Size: content.Size(), Actor: r.Principal, Reason: r.Reason,
		})
	})
	if len(active) > 0 {
		done.released = s.Claims.QueueRelease(&p, claim.Release{
			Claims: active, Cause: claim.CauseKilled, By: claim.BySignal, Actor: r.Principal, Reason: r.Reason,
		})
	} else {
		done.armed = claim.Arm(&p, s.queries, []claim.Candidate{{Tenant: r.Tenant, EntityURL: r.EntityURL, WakeID: claim.NewWakeID()}})
	}
	return p.Run(ctx, tx)
}

func (s *Service) announceSignal(ctx context.Context, r SignalRequest, done signalled) {
	row := done.rows[0]
	s.Hub.StreamChanged(r.Tenant, row.Path, row.Tail)
	if row.Version > 0 {
		s.Hub.EntityChanged(r.Tenant, r.EntityURL, row.Version)
	}
	if done.armed != nil {
		s.Claims.AnnounceArmed(done.armed)
	}
	if done.released != nil {
		s.Claims.Announce(ctx, done.released)
	}
}
