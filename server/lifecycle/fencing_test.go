package lifecycle_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

const fencingRounds = 120

var errLost = errors.New("the claim is lost")

// fencingLine is the first block of SQL of docs/fencing.md.
func (c *cluster) fencingLine() string {
	c.t.Helper()
	page, err := os.ReadFile("../../docs/fencing.md")
	require.NoError(c.t, err)
	found := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(page)
	require.NotNil(c.t, found)
	return string(found[1])
}

// sideEffect is an agent's own transaction: it works for a while, writes, holds its claim, and dawdles again
// before it commits. It begins when told to, and says whether it committed.
func (w *wake) sideEffect(ctx context.Context, line string, begin <-chan struct{}) (committed bool, err error) {
	<-begin
	err = pgx.BeginFunc(ctx, w.c.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_sleep(random() * 0.01)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO effects (epoch) VALUES ($1)`, w.Epoch); err != nil {
			return err
		}
		held, err := tx.Exec(ctx, line, "default", w.Consumer, w.Epoch)
		if err != nil {
			return err
		}
		if held.RowsAffected() == 0 {
			return errLost
		}
		_, err = tx.Exec(ctx, `SELECT pg_sleep(random() * 0.02)`)
		return err
	})
	if errors.Is(err, errLost) {
		return false, nil
	}
	return err == nil, err
}

// zombieSideEffect races agents' transactions against the end of their claims and the next claim: what the next
// holder sees of its predecessor's effects when it takes over is all that there will ever be.
func zombieSideEffect(t story) {
	c, a, b, wakes := oneWake(t, func(o *server.Options) {
		o.SweepInterval, o.Backoff, o.BackoffMax, o.ParkAfter = 5*time.Millisecond, time.Millisecond, time.Millisecond, -1
	})
	c.exec(`CREATE TABLE effects (epoch bigint NOT NULL)`)
	line := c.fencingLine()
	effects := func(epoch int64) int {
		return value[int](c, `SELECT count(*) FROM effects WHERE epoch = $1`, epoch)
	}
	w := a.work(wakes.next())
	committed, lost := 0, 0
	for round := range fencingRounds {
		begin, ended := make(chan struct{}), make(chan error, 1)
		wrote := false
		go func() {
			var err error
			wrote, err = w.sideEffect(t.Context(), line, begin)
			ended <- err
		}()
		close(begin)
		if round%2 == 0 {
			w.expire()
		} else {
			require.Equal(t, http.StatusOK, w.force(b, "race").status)
		}
		next := b.work(wakes.nextOf(w.Epoch + 1))
		seen := effects(w.Epoch)
		require.NoError(t, <-ended)
		require.Equal(t, seen, effects(w.Epoch), "round %d: a side effect of epoch %d was committed after epoch %d had taken over", round, w.Epoch, next.Epoch)
		if wrote {
			committed++
		} else {
			lost++
		}
		require.Equal(t, wrote, seen == 1)
		w = next
	}
	t.Logf("%d side effects were committed before the take-over and %d were refused", committed, lost)
	require.Positive(t, committed, "no side effect was ever first")
	require.Positive(t, lost, "no take-over was ever first")
	c.consistent()
}
