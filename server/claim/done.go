package claim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Ack says up to which offset of a stream a wake's input is handled. Only the claim's own stream counts.
type Ack struct {
	Path   string `json:"path"`   // without a leading slash
	Offset int64  `json:"offset"` // bytes; -1 is nothing
}

// DoneRequest finishes a claim.
type DoneRequest struct {
	Key
	Acks   []Ack
	Failed bool // the work was not done: what Acks leave of the input is tried again after a backoff
}

// Outcomes of a done. Late is one whose claim had already ended otherwise.
const (
	DoneRecorded = "recorded"
	DoneRepeated = "repeated"
	DoneLate     = "late"
)

// Done records that the work of a claim is finished. When it returns without an error no write of this
// claim's epoch lands any more, on any node, and the release is a job that survives this node. It is
// idempotent: a repeated done and one of an older epoch change nothing but, at most, their own row.
func (s *Service) Done(ctx context.Context, r DoneRequest) (outcome string, err error) {
	row, err := s.dones.Do(ctx, r)
	if err != nil {
		return "", err
	}
	s.metrics.dones.WithLabelValues(row.Outcome).Inc()
	if row.Outcome == "unknown" {
		return "", ErrUnknownClaim
	}
	s.View.Drop(r.Tenant, row.StreamPath, r.Epoch)
	return row.Outcome, nil
}

func (s *Service) flushDones(ctx context.Context, calls []batch.Call[DoneRequest]) ([]batch.Result[db.RecordDonesRow], error) {
	keys := columnsOf(calls, func(c batch.Call[DoneRequest]) Key { return c.In.Key })
	arg := db.RecordDonesParams{Ords: pg.Ords(len(calls)), TenantIDs: keys.tenants, ConsumerIDs: keys.consumers, Epochs: keys.epochs}
	for _, c := range calls {
		acks, err := json.Marshal(append([]Ack{}, c.In.Acks...))
		if err != nil {
			return nil, fmt.Errorf("encode acks: %w", err)
		}
		arg.Outcomes = append(arg.Outcomes, doneOutcome(c.In.Failed))
		arg.AckedStreams = append(arg.AckedStreams, string(acks))
	}
	var p pg.Pipeline
	var rows []db.RecordDonesRow
	lockClaims(&p, s.queries, keys)
	lockStreamsOfClaims(&p, s.queries, keys)
	pg.Many(&p, &rows, func(ctx context.Context, conn pg.Conn) ([]db.RecordDonesRow, error) {
		return s.queries.RecordDones(ctx, conn, arg)
	})
	err := pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := p.Run(ctx, tx); err != nil {
			return err
		}
		for chunk := range slices.Chunk(finished(keys, rows), args.MaxClaims) {
			if err := s.Jobs.InsertRelease(ctx, tx, args.ReleaseClaims{Claims: chunk}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("record dones: %w", err)
	}
	return results(rows), nil
}

// finished are the claims that this flush is the first to record a done of.
func finished(keys keyColumns, rows []db.RecordDonesRow) []args.Claim {
	var claims []args.Claim
	for i, row := range rows {
		if row.Outcome == DoneRecorded || row.Outcome == DoneLate {
			claims = append(claims, args.Claim{
				Tenant: keys.tenants[i], Consumer: keys.consumers[i], Epoch: keys.epochs[i], Stream: row.StreamPath,
			})
		}
	}
	return claims
}

func doneOutcome(failed bool) string {
	if failed {
		return "failed"
	}
	return "succeeded"
}
