package retention

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/db"
)

// readersPerPage is how many runners are looked at together.
const readersPerPage = 100

// wakes removes the events of wake streams that their runners have read, a page of runners after the
// other, each until nothing of it is left.
func (s *Service) wakes() step {
	var page db.DeleteConsumedWakesParams
	var after db.PageReadersParams
	after.MaxRows = readersPerPage
	return func(ctx context.Context) (more bool, err error) {
		if len(page.RunnerIDs) == 0 {
			readers, err := s.queries.PageReaders(ctx, s.Pool, after)
			if err != nil {
				return false, fmt.Errorf("list how far runners have read: %w", err)
			}
			if len(readers) == 0 {
				return false, nil
			}
			page = pageOf(readers)
			page.AgeMs, page.MaxRows = s.Wakes.Milliseconds(), rowsPerBatch
			last := readers[len(readers)-1]
			after.AfterTenant, after.AfterRunner = last.TenantID, last.RunnerID
		}
		removed, err := s.queries.DeleteConsumedWakes(ctx, s.Pool, page)
		if err != nil {
			return false, fmt.Errorf("remove wake events that were read: %w", err)
		}
		s.metrics.count(tableWakes, removed)
		full := len(page.RunnerIDs) == readersPerPage
		if removed == rowsPerBatch {
			return true, nil
		}
		page = db.DeleteConsumedWakesParams{}
		return full, nil
	}
}

func pageOf(readers []db.PageReadersRow) db.DeleteConsumedWakesParams {
	var page db.DeleteConsumedWakesParams
	for _, r := range readers {
		page.TenantIDs = append(page.TenantIDs, r.TenantID)
		page.RunnerIDs = append(page.RunnerIDs, r.RunnerID)
		page.Consumed = append(page.Consumed, r.Consumed)
	}
	return page
}
