package pg_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/pg"
)

func TestRideOutRepeatsWhatMayPass(t *testing.T) {
	for name, err := range map[string]error{
		"a connection that broke": io.ErrUnexpectedEOF,
		"a lock time-out":         &pgconn.PgError{Code: pgerrcode.LockNotAvailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				require.NoError(t, pg.RideOut(t.Context(), 10*time.Second, func(context.Context) error {
					if tries++; tries < 4 {
						return err
					}
					return nil
				}))
				require.Equal(t, 4, tries)
			})
		})
	}
}

func TestRideOutSaysOtherErrorsAtOnce(t *testing.T) {
	tries := 0
	wrong := errors.New("wrong")
	require.ErrorIs(t, pg.RideOut(t.Context(), time.Minute, func(context.Context) error { tries++; return wrong }), wrong)
	require.Equal(t, 1, tries)
}

func TestRideOutEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries := time.Now(), 0
		work := func(context.Context) error { tries++; return io.ErrUnexpectedEOF }
		require.ErrorIs(t, pg.RideOut(t.Context(), 10*time.Second, work), io.ErrUnexpectedEOF)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Greater(t, tries, 20, "the pause must stay short enough to find a database that is back")
		require.Less(t, tries, 60, "the pause must grow")
		caller, leave := context.WithCancel(t.Context())
		leave()
		began = time.Now()
		require.Error(t, pg.RideOut(caller, 10*time.Second, work), "nobody waits for it any longer")
		require.Zero(t, time.Since(began))
	})
}
