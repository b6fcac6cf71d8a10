package stream

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/sql/db"
)

// Reconcile re-reads the numbers of all that is waited for and wakes those whose number is not what their waiters know. It
// bounds what a lost hint can cost to the time between two of its calls.
func (h *Hub) Reconcile(ctx context.Context) error {
	err := h.streams.reconcile(h.found[notify.KindTail], func(tenants, keys []string) (map[topicKey]int64, error) {
		rows, err := h.queries.WatchedStreamTails(ctx, h.pool, db.WatchedStreamTailsParams{TenantIDs: tenants, Paths: keys})
		if err != nil {
			return nil, fmt.Errorf("read tails of watched streams: %w", err)
		}
		now := make(map[topicKey]int64, len(rows))
		for _, r := range rows {
			now[topicKey{r.TenantID, r.Path}] = number(r.Tail, r.Closed)
		}
		return now, nil
	})
	if err != nil {
		return err
	}
	return h.entities.reconcile(h.found[notify.KindEntity], func(tenants, keys []string) (map[topicKey]int64, error) {
		rows, err := h.queries.WatchedEntityVersions(ctx, h.pool, db.WatchedEntityVersionsParams{TenantIDs: tenants, URLs: keys})
		if err != nil {
			return nil, fmt.Errorf("read versions of watched entities: %w", err)
		}
		now := make(map[topicKey]int64, len(rows))
		for _, r := range rows {
			now[topicKey{r.TenantID, r.URL}] = r.Version
		}
		return now, nil
	})
}

type counter interface{ Inc() }

func (t *topic) reconcile(found counter, look func(tenants, keys []string) (map[topicKey]int64, error)) error {
	watched, before := t.standings()
	if len(watched) == 0 {
		return nil
	}
	tenants, keys := make([]string, len(watched)), make([]string, len(watched))
	for i, k := range watched {
		tenants[i], keys[i] = k.tenant, k.key
	}
	now, err := look(tenants, keys)
	if err != nil {
		return err
	}
	for i, k := range watched {
		number, there := now[k]
		switch {
		case before[i] == unknown:
			// Its waiter is about to look.
		case !there, number < before[i]:
			// Deleted, and perhaps made anew, since its waiters looked.
			t.hint(k, numberGone)
		case t.learn(k, number):
			found.Inc()
			t.waiters.Wake(k.tenant, k.key)
		}
	}
	return nil
}
