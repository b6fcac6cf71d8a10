package claim_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/claim"
)

// impatient gives the claims a pool whose statements may take only so long.
func impatient(t *testing.T, o *claim.Options) {
	t.Helper()
	config := o.Pool.Config()
	config.ConnConfig.RuntimeParams["statement_timeout"] = "300"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	o.Pool = pool
}

// slow makes every change of one claim take longer than a statement may.
func (r *rig) slow(h held) {
	r.t.Helper()
	r.exec(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'`)
	r.exec(`CREATE TRIGGER slow BEFORE UPDATE ON wakelatch.consumer_claims FOR EACH ROW
		WHEN (NEW.consumer_id = '` + h.Consumer + `') EXECUTE FUNCTION slow()`)
}

// A set of claims that takes too long is taken apart, in the sweep as in a batch of dones: the one that is slow
// fails alone, and the database is not taken for away.
func TestAClaimThatIsTooSlowHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	t.Run("sweep", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(o *claim.Options) { impatient(t, o) })
		claims := r.claimed(3)
		r.slow(claims[1])
		r.expire(time.Second)
		require.Error(t, r.claims.SweepOnce(t.Context()))
		require.Equal(t, []string{"expired", "active", "expired"}, []string{r.status(claims[0]), r.status(claims[1]), r.status(claims[2])})
	})
	t.Run("done", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(o *claim.Options) { impatient(t, o); o.RideOut = 2 * time.Second })
		claims := r.claimed(5)
		r.slow(claims[0])
		type answer struct {
			of  int
			err error
		}
		answers := make(chan answer, len(claims))
		for i, h := range claims {
			go func() {
				_, err := r.claims.Done(t.Context(), claim.DoneRequest{Key: h.Key})
				answers <- answer{i, err}
			}()
		}
		for range claims {
			if got := <-answers; got.of == 0 {
				require.ErrorIs(t, got.err, batch.ErrUnavailable)
			} else {
				require.NoError(t, got.err)
			}
		}
	})
}
