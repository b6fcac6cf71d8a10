package entity_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/entity"
)

// With every hint lost, the reconcile alone finds who waits for a newer version.
func TestAWaitIsFoundByTheReconcile(t *testing.T) {
	d := newDomain(t)
	before := d.spawn("")
	pool := d.db.Pool
	asked := pool.Stat().AcquireCount()
	type answer struct {
		entity.Entity
		err error
	}
	ended := make(chan answer, 1)
	go func() {
		e, err := d.entities.Wait(t.Context(), tenant, url, before.Version)
		ended <- answer{e, err}
	}()
	require.Eventually(t, func() bool {
		return pool.Stat().AcquireCount() > asked && pool.Stat().AcquiredConns() == 0
	}, 5*time.Second, time.Millisecond, "the wait looks at the entity")
	_, err := pool.Exec(t.Context(), `UPDATE wakelatch.entities SET version = version + 1`)
	require.NoError(t, err)
	for {
		require.NoError(t, d.hub.Reconcile(t.Context()))
		select {
		case got := <-ended:
			require.NoError(t, got.err)
			require.Equal(t, before.Version+1, got.Version)
			return
		default:
		}
	}
}
