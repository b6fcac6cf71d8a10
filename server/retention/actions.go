package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
)

// rowsPerBatch bounds what one statement removes.
const rowsPerBatch = 1000

// actions removes old actions on entities and runners.
func (s *Service) actions() step {
	since := time.Unix(0, 0)
	return func(ctx context.Context) (more bool, err error) {
		old, err := s.queries.DeleteOldActions(ctx, s.Pool, db.DeleteOldActionsParams{
			AgeMs: s.History.Milliseconds(), Since: since, MaxRows: rowsPerBatch,
		})
		if err != nil {
			return false, fmt.Errorf("remove actions older than %s: %w", s.History, err)
		}
		since = old.Newest
		s.metrics.count(tableActions, old.Removed)
		return old.Removed == rowsPerBatch, nil
	}
}
