package claim

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

type confirmation struct {
	key Key
	id  string // tells a retry of this call from another process's confirm
}

// Confirm notes that one process works on the claim and returns the write token of its stream. A second
// confirm fails with ErrAlreadyConfirmed: of two processes with one runner id only one works. It renews
// the lease. A claim that has ended or is done fails with a LostError.
func (s *Service) Confirm(ctx context.Context, k Key) (writeToken string, err error) {
	row, err := s.confirms.Do(ctx, confirmation{key: k, id: rand.Text()})
	if err != nil {
		return "", err
	}
	s.metrics.confirms.WithLabelValues(confirmLabel(row.Outcome)).Inc()
	switch row.Outcome {
	case "confirmed":
	case "unknown":
		return "", ErrUnknownClaim
	case "already_confirmed":
		return "", ErrAlreadyConfirmed
	default:
		return "", &LostError{Key: k, Status: row.Outcome, Cause: row.ReleaseCause}
	}
	held := token.Claim{Tenant: k.Tenant, Stream: row.StreamPath, Consumer: k.Consumer, Epoch: k.Epoch}
	s.View.Put(held)
	return s.Keyring.Sign(token.WriteToken, held), nil
}

func confirmLabel(outcome string) string {
	switch outcome {
	case "confirmed", "already_confirmed", "unknown":
		return outcome
	}
	return "lost"
}

func (s *Service) flushConfirms(ctx context.Context, calls []batch.Call[confirmation]) ([]batch.Result[db.ConfirmClaimRow], error) {
	var p pg.Pipeline
	found := make([][]db.ConfirmClaimRow, len(calls))
	keys := columnsOf(calls, func(c batch.Call[confirmation]) Key { return c.In.key })
	lockClaims(&p, s.queries, keys)
	lockLeases(&p, s.queries, keys)
	for i, c := range calls {
		pg.Many(&p, &found[i], func(ctx context.Context, conn pg.Conn) ([]db.ConfirmClaimRow, error) {
			return s.queries.ConfirmClaim(ctx, conn, db.ConfirmClaimParams{
				TenantID: c.In.key.Tenant, ConsumerID: c.In.key.Consumer, Epoch: c.In.key.Epoch,
				ConfirmID: c.In.id, LeaseMs: s.Lease.Milliseconds(),
			})
		})
	}
	if err := p.Run(ctx, s.Pool); err != nil {
		return nil, fmt.Errorf("confirm claims: %w", err)
	}
	out := make([]batch.Result[db.ConfirmClaimRow], len(calls))
	for i, rows := range found {
		out[i].Out.Outcome = "unknown"
		if len(rows) == 1 {
			out[i].Out = rows[0]
		}
	}
	return out, nil
}
