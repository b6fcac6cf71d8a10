package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// claimsPerBatch leaves room for the events of each claim, of which there are five at most.
const claimsPerBatch = 200

// claims removes ended claims with their events. The claims are locked by a statement of their own, so that
// the one which removes their events sees the last of them.
func (s *Service) claims() step {
	since := time.Unix(0, 0)
	return func(ctx context.Context) (more bool, err error) {
		var events, removed int64
		err = pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
			old, err := s.queries.PickOldClaims(ctx, tx, db.PickOldClaimsParams{
				AgeMs: s.Claims.Milliseconds(), Since: since, MaxRows: claimsPerBatch,
			})
			if err != nil || len(old) == 0 {
				return err
			}
			var keys db.DeleteClaimsParams
			for _, c := range old {
				keys.TenantIDs = append(keys.TenantIDs, c.TenantID)
				keys.ConsumerIDs = append(keys.ConsumerIDs, c.ConsumerID)
				keys.Epochs = append(keys.Epochs, c.Epoch)
			}
			since, more = old[len(old)-1].ReleasedAt, len(old) == claimsPerBatch
			var p pg.Pipeline
			p.Exec(func(ctx context.Context, conn pg.Conn) (err error) {
				events, err = s.queries.DeleteEventsOfClaims(ctx, conn, db.DeleteEventsOfClaimsParams(keys))
				return err
			})
			p.Exec(func(ctx context.Context, conn pg.Conn) (err error) {
				removed, err = s.queries.DeleteClaims(ctx, conn, keys)
				return err
			})
			return p.Run(ctx, tx)
		})
		if err != nil {
			return false, fmt.Errorf("remove claims that ended %s ago: %w", s.Claims, err)
		}
		s.metrics.count(tableEvents, events)
		s.metrics.count(tableClaims, removed)
		return more, nil
	}
}
