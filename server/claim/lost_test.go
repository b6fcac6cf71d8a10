package claim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// ran are the tags of answers to what has run: a statement that is only being prepared has none.
var ran = []string{"SELECT ", "COMMIT"}

// The connection breaks when the transaction has committed and before anybody is told: the operation is tried
// again inside the request, does nothing twice, and is answered as what it was.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(r *rig, h held, lose func()){
		"claim": func(r *rig, _ held, lose func()) {
			r.spawn("another")
			lose()
			another := r.claim("another", 1)
			require.Equal(r.t, "active", r.status(another))
			require.Equal(r.t, 2, value[int](r, `SELECT count(*) FROM wakelatch.consumer_claims`))
		},
		"confirm": func(r *rig, h held, lose func()) {
			lose()
			writeToken, err := r.claims.Confirm(r.t.Context(), h.Key)
			require.NoError(r.t, err, "its own first attempt is no second process")
			require.NotEmpty(r.t, writeToken)
			_, err = r.claims.Confirm(r.t.Context(), h.Key)
			require.ErrorIs(r.t, err, claim.ErrAlreadyConfirmed)
			require.Equal(r.t, 1, value[int](r, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'confirmed'`))
		},
		"heartbeat": func(r *rig, h held, lose func()) {
			lose()
			_, err := r.claims.Heartbeat(r.t.Context(), h.Key)
			require.NoError(r.t, err)
		},
		"done": func(r *rig, h held, lose func()) {
			lose()
			r.done(h, false)
			require.Equal(r.t, 1, value[int](r, `SELECT count(*) FROM river_job`), "one done, one job")
			require.Equal(r.t, 1, value[int](r, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'done'`))
			r.release(h)
			require.Equal(r.t, "released", r.status(h))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var way *dbtest.Loss
			r := newRig(t, func(o *claim.Options) { way = dbtest.NewLoss(t, o.Pool); o.Pool = way.Pool })
			h := r.claimed(1)[0]
			run(r, h, func() { way.Next(0, ran...) })
			require.Equal(t, 1, way.Lost())
			r.consistent()
		})
	}
}
