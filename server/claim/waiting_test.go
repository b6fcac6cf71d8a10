package claim_test

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
)

// A send that has not seen its runner enabled may commit when everybody has looked already: the looks overlap.
// After an outage of every node the first look goes back to the last sweep.
func TestWhatWaitedForItsRunnerIsArmed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.spawn("one")
	unwake := func() {
		r.exec(`UPDATE wakelatch.entity_dispatch_state SET outstanding_wake_id = NULL, outstanding_runner_id = NULL, outstanding_since = NULL,
			outstanding_emissions = 0, next_attempt_at = NULL`)
	}
	generation := func() int { return value[int](r, `SELECT generation FROM wakelatch.entity_dispatch_state`) }
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	unwake()
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, 2, generation(), "the runner changed a moment ago")
	unwake()
	r.exec(`UPDATE wakelatch.runners SET updated_at = statement_timestamp() - interval '1 minute'`)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, 2, generation(), "long ago it did not change")
	r.exec(`UPDATE wakelatch.runners SET admin_status = 'draining', updated_at = statement_timestamp()`)
	require.NoError(t, r.claims.SweepOnce(t.Context()))
	require.Equal(t, 2, generation())

	r.exec(`UPDATE wakelatch.runners SET admin_status = 'enabled', updated_at = statement_timestamp() - interval '1 minute'`)
	r.exec(`UPDATE wakelatch.sweep_state SET last_sweep_at = statement_timestamp() - interval '2 minutes'`)
	reg := prometheus.NewRegistry()
	another := claim.New(claim.Options{
		Pool: r.db.Pool, Jobs: r.jobs, View: r.view, Keyring: r.keyring, Logger: slog.New(slog.DiscardHandler), Registerer: reg,
		Announcer: stream.NewHub(stream.HubOptions{Pool: r.db.Pool, Publisher: silent{}, Registerer: reg}),
	})
	require.NoError(t, another.SweepOnce(t.Context()))
	require.Equal(t, 3, generation(), "enabled while no node swept")
}
