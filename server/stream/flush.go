package stream

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// flushTimeout is more than the database's own time-outs let a batch take.
const flushTimeout = 2 * pg.StatementTimeout

// flush writes a batch in one round trip, which is one transaction: lock, then judge and write. It tells
// readers after the commit.
func (s *Service) flush(ctx context.Context, calls []batch.Call[appendItem]) ([]batch.Result[Appended], error) {
	var rows []db.AppendStreamsRow
	lock, params := columns(calls)
	params.Unfenced = s.Unfenced
	var p pg.Pipeline
	p.Exec(func(ctx context.Context, conn pg.Conn) error { return s.queries.LockAppendStreams(ctx, conn, lock) })
	pg.Many(&p, &rows, func(ctx context.Context, conn pg.Conn) ([]db.AppendStreamsRow, error) {
		return s.queries.AppendStreams(ctx, conn, params)
	})
	if err := p.Run(ctx, s.Pool); err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	if len(rows) != len(calls) {
		return nil, fmt.Errorf("append: %d results for %d items", len(rows), len(calls))
	}
	results := make([]batch.Result[Appended], len(calls))
	changed := make(map[Key]db.AppendStreamsRow, len(lock.Paths))
	for i, row := range rows {
		item := calls[i].In
		results[i].Out, results[i].Err = s.result(item, row)
		if row.Outcome == outcomeAppended && row.EndOffset >= changed[item.Key].EndOffset {
			changed[item.Key] = row
		}
	}
	for key, row := range changed {
		s.Hub.streamChanged(key.Tenant, string(key.Path), number(row.EndOffset, row.Closed))
	}
	return results, nil
}

// columns turns items into arrays and finds where each producer's run begins.
func columns(calls []batch.Call[appendItem]) (db.LockAppendStreamsParams, db.AppendStreamsParams) {
	var lock db.LockAppendStreamsParams
	c := db.AppendStreamsParams{Ords: pg.Ords(len(calls))}
	locked := make(map[Key]bool, len(calls))
	first := make(map[producerKey]int64)
	for _, call := range calls {
		i := call.In
		if !locked[i.Key] {
			locked[i.Key] = true
			lock.TenantIDs = append(lock.TenantIDs, i.Tenant)
			lock.Paths = append(lock.Paths, string(i.Path))
		}
		producer := producerKey{i.Key, i.producer.ID}
		if _, begun := first[producer]; !begun {
			first[producer] = i.producer.Seq
		}
		c.TenantIDs = append(c.TenantIDs, i.Tenant)
		c.Paths = append(c.Paths, string(i.Path))
		c.Consumers = append(c.Consumers, i.holder.Consumer)
		c.Epochs = append(c.Epochs, i.holder.Epoch)
		c.MediaTypes = append(c.MediaTypes, i.mediaType)
		c.StreamSeqs = append(c.StreamSeqs, i.streamSeq)
		c.ProducerIDs = append(c.ProducerIDs, i.producer.ID)
		c.ProducerEpochs = append(c.ProducerEpochs, i.producer.Epoch)
		c.FirstSeqs = append(c.FirstSeqs, first[producer])
		c.Seqs = append(c.Seqs, i.producer.Seq)
		c.Sizes = append(c.Sizes, i.message.Size())
		c.Closes = append(c.Closes, i.closes)
		c.Keys = append(c.Keys, i.key)
		c.Retries = append(c.Retries, call.Attempt > 0 && i.key != "")
		c.Bodies = append(c.Bodies, i.message.Body)
		c.Marks = append(c.Marks, i.message.Marks)
	}
	return lock, c
}

func (s *Service) result(item appendItem, row db.AppendStreamsRow) (Appended, error) {
	s.metrics.appended(row.Outcome)
	out := Appended{End: Offset(row.EndOffset), Outside: row.Outside, Closed: row.Closed, ProducerSeq: item.producer.Seq}
	switch row.Outcome {
	case outcomeAppended:
		return out, nil
	case outcomeDuplicate:
		out.Duplicate = true
		out.ProducerSeq = row.KnownSeq
		return out, nil
	}
	return Appended{}, refusal(item, row)
}

func refusal(item appendItem, row db.AppendStreamsRow) error {
	switch row.Outcome {
	case outcomeNotFound:
		return ErrNotFound
	case outcomeForbidden:
		return ErrForbidden
	case outcomeFenced:
		return ErrFenced
	case outcomeClosed:
		return &ClosedError{Tail: Offset(row.EndOffset)}
	case outcomeContentType:
		return ErrContentTypeMismatch
	case outcomeStreamSeq:
		return ErrStreamSeq
	case outcomeStale:
		return &ProducerStaleError{Epoch: row.KnownEpoch}
	case outcomeEpochStart:
		return &InvalidError{Field: "Producer-Seq", Why: "a new producer epoch must start at 0"}
	case outcomeGap:
		expected := int64(0)
		if row.KnownEpoch == item.producer.Epoch {
			expected = row.KnownSeq + 1
		}
		return &ProducerGapError{Expected: expected, Received: item.producer.Seq}
	}
	return fmt.Errorf("append to %q: unknown outcome %q", item.Path, row.Outcome)
}
