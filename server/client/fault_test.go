package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/client"
)

// Each call of a wake loses its first two answers. A confirm is the one that must not be repeated: of it only
// the request is lost.
func TestLostAnswersAreAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]func(call) bool{"claim": call.isClaim, "append": call.isAppend, "done": call.isDone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.run(echo(t))
			r.line.lose(nil, times(2, kind))
			r.spawn("one", "hello")
			r.handled(entity)
			r.eventually(func() bool { return r.line.count(kind) == 3 }, "it is not asked again until it is answered")
			require.Equal(t, []string{"re: hello"}, r.texts(entity), "written once")
			require.Equal(t, []string{"released"}, r.claims())
		})
	}
}

func TestLostRequestsAreSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(echo(t))
	kinds := []func(call) bool{
		times(2, call.isClaim), times(2, call.isAppend), times(2, call.isDone), times(2, call.isBeat),
		times(2, func(c call) bool { return json.Valid([]byte(c.body)) && len(c.body) > 0 }),
	}
	r.line.lose(func(c call) bool {
		for _, kind := range kinds {
			if kind(c) {
				return true
			}
		}
		return false
	}, nil)
	r.spawn("one", "hello")
	r.handled(entity)
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
	require.Equal(t, []string{"released"}, r.claims())
}

// The lost answer of a confirm looks like another process's confirm: the wake is left, and its lease decides.
func TestALostConfirmCostsALeaseAndNoMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.Lease, o.SweepInterval = time.Second, 50*time.Millisecond })
	r.run(echo(t))
	r.line.lose(nil, times(1, func(c call) bool {
		return strings.Contains(c.body, "wakeId")
	}))
	r.spawn("one", "hello")
	r.handled(entity)
	require.Equal(t, []string{"expired", "released"}, r.claims())
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
}

func TestARunnerComesBackWhenTheNodesDo(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.LongPoll = 500 * time.Millisecond })
	var away atomic.Bool
	r.run(echo(t))
	r.spawn("one", "first")
	r.handled(entity)
	away.Store(true)
	r.line.lose(func(call) bool { return away.Load() }, nil)
	polls := r.line.count(isPoll)
	// The long-poll that is under way ends with an empty page, and the next is lost.
	r.eventually(func() bool { return r.line.count(isPoll) >= polls+3 }, "the runner does not ask again")
	away.Store(false)
	r.send("second")
	r.eventually(func() bool { return len(r.texts(entity)) == 2 }, "the runner does not come back")
}

func isPoll(c call) bool { return c.path == "/runners/r1/wake" }

// A runner whose registration is gone reads a wake stream that is not there, and registers again.
func TestADeletedRunnerRegistersAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.LongPoll = 100 * time.Millisecond })
	r.run(echo(t))
	r.eventually(func() bool { return r.line.count(isPoll) > 1 }, "the runner does not poll")
	_, err := r.pool.Exec(t.Context(), `WITH d AS (DELETE FROM wakelatch.runner_diagnostics), s AS (DELETE FROM wakelatch.streams WHERE path = 'runners/r1/wake')
		DELETE FROM wakelatch.runners`)
	require.NoError(t, err)
	r.eventually(func() bool {
		var n int
		err := r.pool.QueryRow(t.Context(), "SELECT count(*) FROM wakelatch.runners").Scan(&n)
		return err == nil && n == 1
	}, "the runner does not register again")
	r.spawn("one", "hello")
	r.handled(entity)
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("it never happens")
		panic("unreachable")
	}
}

// held is a handler that waits for the end of its context and says why it ended.
func held(begun chan<- *client.Wake, ended chan<- error) client.Handler {
	return func(ctx context.Context, w *client.Wake) error {
		begun <- w
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return context.Cause(ctx)
	}
}

func TestALostClaimEndsTheHandlerWithoutADone(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.Lease = time.Second })
	begun, ended := make(chan *client.Wake, 1), make(chan error, 1)
	r.run(held(begun, ended))
	r.spawn("one", "hello")
	w := receive(t, begun)
	require.NoError(t, r.Signal(t.Context(), entity, "SIGKILL"))
	require.ErrorIs(t, receive(t, ended), client.ErrClaimLost)
	require.ErrorIs(t, w.Append(t.Context(), text("late")), client.ErrClaimLost)
	r.eventually(func() bool { return len(r.claims()) == 1 && r.claims()[0] == "released" }, "the claim goes on")
	require.Zero(t, r.line.count(call.isDone))
	require.Empty(t, r.texts(entity))
}

// A zombie learns of its end from the answer to an append when no heartbeat gets through. Its work is done
// by the next claim.
func TestAZombiesAppendIsRefusedAndEndsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.Lease, o.SweepInterval = time.Second, 50*time.Millisecond })
	var first atomic.Bool
	refused, expired := make(chan error, 1), make(chan struct{})
	r.run(func(ctx context.Context, w *client.Wake) error {
		if first.CompareAndSwap(false, true) {
			<-expired
			r.line.lose(nil, nil)
			err := w.Append(ctx, text("zombie"))
			refused <- err
			return err
		}
		return echo(t)(ctx, w)
	}, func(o *client.RunnerOptions) { o.Concurrency = 2 })
	r.line.lose(call.isBeat, nil)
	r.spawn("one", "hello")
	r.eventually(func() bool { s := r.claims(); return len(s) > 0 && s[0] == "expired" }, "the claim does not expire")
	close(expired)
	require.ErrorIs(t, receive(t, refused), client.ErrClaimLost)
	r.handled(entity)
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
	require.Equal(t, []string{"expired", "released"}, r.claims())
}

func TestHeartbeatsKeepALongWakeAlive(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.Lease, o.SweepInterval = time.Second, 50*time.Millisecond })
	r.run(func(ctx context.Context, w *client.Wake) error {
		// More beats than two leases have room for.
		for began := r.line.count(call.isBeat); r.line.count(call.isBeat) < began+7; {
			timer := time.NewTimer(glance)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return echo(t)(ctx, w)
	})
	r.spawn("one", "hello")
	r.handled(entity)
	require.Equal(t, []string{"released"}, r.claims())
}

func TestAStopWaitsForTheHandlers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	run := r.run(func(ctx context.Context, w *client.Wake) error {
		close(begun)
		select {
		case <-goOn:
			return echo(t)(ctx, w)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	r.spawn("one", "hello")
	receive(t, begun)
	run.stop()
	r.spawn("two", "too late")
	close(goOn)
	require.NoError(t, run.ended())
	r.handled(entity)
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
	require.Empty(t, r.texts("/demo/two"))
}

func TestAStopCutsShortWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	begun, ended := make(chan *client.Wake, 1), make(chan error, 1)
	run := r.run(held(begun, ended), func(o *client.RunnerOptions) { o.DrainTimeout = 50 * time.Millisecond })
	r.spawn("one", "hello")
	receive(t, begun)
	require.ErrorIs(t, run.stopped(), client.ErrCutShort)
	require.ErrorIs(t, receive(t, ended), client.ErrStopping)
	r.eventually(func() bool { return r.claims()[0] == "released" }, "the work is not given back")
	require.Equal(t, []string{"handed_back"}, r.causes())
	r.run(echo(t))
	r.handled(entity)
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
}

// A handler that cannot do the work now gives it to the next claim: nothing is acknowledged and nothing failed.
func TestAHandlerHandsItsWakeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var first atomic.Bool
	r.run(func(ctx context.Context, w *client.Wake) error {
		if first.CompareAndSwap(false, true) {
			return fmt.Errorf("no \x00 room on this machine: %w", client.ErrHandBack)
		}
		return echo(t)(ctx, w)
	})
	r.spawn("one", "hello")
	r.handled(entity)
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
	require.Equal(t, []string{"handed_back", "done"}, r.causes())
	var reason string
	require.NoError(t, r.pool.QueryRow(t.Context(), `SELECT reason FROM wakelatch.claim_events WHERE cause = 'handed_back'`).Scan(&reason))
	require.Contains(t, reason, "room on this machine")
}

// causes are why the entity's claims ended, in order.
func (r *rig) causes() []string {
	r.t.Helper()
	var causes []string
	require.NoError(r.t, r.pool.QueryRow(r.t.Context(), `SELECT coalesce(array_agg(release_cause ORDER BY epoch), '{}')
		FROM wakelatch.consumer_claims WHERE released_at IS NOT NULL`).Scan(&causes))
	return causes
}

func TestAppendsGoTogetherAndInOrder(t *testing.T) {
	t.Parallel()
	const events = 2000
	r := newRig(t)
	r.run(func(ctx context.Context, w *client.Wake) error {
		for i := range events {
			if err := w.Queue(ctx, text(strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	})
	r.spawn("one", "hello")
	r.handled(entity)
	texts := r.texts(entity)
	require.Len(t, texts, events)
	for i, got := range texts {
		require.Equal(t, strconv.Itoa(i), got)
	}
	require.Less(t, r.line.count(call.isAppend), events/10)
}

// What could not be stored fails the wake, also if the handler did not look.
func TestAnAppendThatIsRefusedFailsTheWake(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.MaxBody = 4096 })
	var first atomic.Bool
	r.run(func(ctx context.Context, w *client.Wake) error {
		if first.CompareAndSwap(false, true) {
			return w.Queue(ctx, text(string(make([]byte, 8192))))
		}
		if err := w.Append(ctx, func() {}); err == nil {
			return errors.New("a func is no event")
		}
		return echo(t)(ctx, w)
	})
	r.spawn("one", "hello")
	r.handled(entity)
	require.Equal(t, []string{"failed", "released"}, r.claims())
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
}
