package stream

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// What one statement of a deletion takes at most, so that it stays far below the statement time-out however large
// the stream is.
const (
	DeleteRows  = 2_000
	DeleteBytes = 16 << 20
)

// Empty deletes the messages and the producers of a closed stream or of a wake stream, in batches that are
// transactions of their own. A stream that was made at the path since, which has another generation, is left alone.
func Empty(ctx context.Context, pool *pgxpool.Pool, rideOut time.Duration, key Key, generation int64) error {
	q := db.New()
	if err := drain(ctx, rideOut, func(ctx context.Context) (int64, error) {
		return q.DeleteStreamMessages(ctx, pool, db.DeleteStreamMessagesParams{
			TenantID: key.Tenant, Path: string(key.Path), Generation: generation, MaxRows: DeleteRows, MaxBytes: DeleteBytes,
		})
	}); err != nil {
		return err
	}
	return drain(ctx, rideOut, func(ctx context.Context) (int64, error) {
		return q.DeleteStreamProducers(ctx, pool, db.DeleteStreamProducersParams{
			TenantID: key.Tenant, Path: string(key.Path), Generation: generation, MaxRows: DeleteRows,
		})
	})
}

// drain repeats a batch until it finds nothing.
func drain(ctx context.Context, rideOut time.Duration, batch func(ctx context.Context) (int64, error)) error {
	for {
		var n int64
		err := pg.RideOut(ctx, rideOut, func(ctx context.Context) (err error) {
			n, err = batch(ctx)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
