package batch_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/batch"
)

// queueUp starts n calls, in order, that wait behind the first.
func queueUp(t *testing.T, b *batch.Batcher[int, int], n int) []<-chan error {
	t.Helper()
	var results []<-chan error
	for i := 1; i <= n; i++ {
		results = append(results, do(t.Context(), t, b, i))
		synctest.Wait()
	}
	return results
}

func TestItemsOfOneFlightGoTogetherInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := batch.New(s.flush, batch.Options[int]{Name: "test", MaxItems: 4})
		stop := start(t, b)
		began := time.Now()
		results := queueUp(t, b, 7)
		for _, want := range [][]int{{1}, {2, 3, 4, 5}, {6, 7}} {
			require.Equal(t, calls(0, want...), <-s.flushes)
			s.answers <- answer{}
		}
		requireAll(t, results)
		require.Zero(t, time.Since(began), "nothing may wait for a timer")
		stop()
	})
}

func TestAnItemsOwnErrorIsItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := batch.New(s.flush, batch.Options[int]{Name: "test", Classify: classify})
		stop := start(t, b)
		results := queueUp(t, b, 3)
		<-s.flushes
		s.answers <- answer{}
		<-s.flushes
		s.answers <- answer{results: []batch.Result[int]{{Err: errTransient}, {Out: 3}}}
		require.NoError(t, <-results[0])
		require.ErrorIs(t, <-results[1], errTransient)
		require.NoError(t, <-results[2])
		stop()
	})
}

func TestABadItemFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []int
		b := batch.New(func(_ context.Context, calls []batch.Call[int]) ([]batch.Result[int], error) {
			for _, c := range calls {
				if c.In == 3 {
					attempts = append(attempts, c.Attempt)
					return nil, errFatal
				}
			}
			return echo(calls), nil
		}, batch.Options[int]{Name: "test", Classify: classify, Lanes: 1})
		results := queueUp(t, b, 5) // before Run: they make one batch
		stop := start(t, b)
		for i, r := range results {
			if i == 2 {
				require.ErrorIs(t, <-r, errFatal)
				continue
			}
			require.NoError(t, <-r)
		}
		require.Equal(t, []int{0, 1}, attempts)
		stop()
	})
}

func TestATransientErrorIsRiddenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := batch.New(s.flush, batch.Options[int]{Name: "test", Classify: classify, MaxItems: 3})
		stop := start(t, b)
		results := queueUp(t, b, 4)
		require.Equal(t, calls(0, 1), <-s.flushes)
		s.answers <- answer{err: errTransient}
		// The failed item goes first, and the others do not wait for it.
		require.Equal(t, append(calls(1, 1), calls(0, 2, 3)...), <-s.flushes)
		s.answers <- answer{err: errTransient}
		require.Equal(t, append(calls(2, 1), calls(1, 2, 3)...), <-s.flushes)
		s.answers <- answer{}
		require.Equal(t, calls(0, 4), <-s.flushes)
		s.answers <- answer{}
		requireAll(t, results)
		stop()
	})
}

func TestRideOutEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flushes := 0
		b := batch.New(func(context.Context, []batch.Call[int]) ([]batch.Result[int], error) {
			flushes++
			return nil, errTransient
		}, batch.Options[int]{Name: "test", Classify: classify, RideOut: 10 * time.Second, MaxItems: 2})
		stop := start(t, b)
		began := time.Now()
		results := queueUp(t, b, 9)
		for _, r := range results {
			err := <-r
			require.ErrorIs(t, err, batch.ErrUnavailable)
			require.ErrorIs(t, err, errTransient)
		}
		waited := time.Since(began)
		require.GreaterOrEqual(t, waited, 10*time.Second)
		require.Less(t, waited, 11*time.Second, "an item's time is its own, whatever stands before it")
		require.Greater(t, flushes, 20, "the back-off must stay short enough to find a database that is back")
		require.Less(t, flushes, 60, "the back-off must grow")
		stop()
	})
}

// A flush that hangs is cut by Timeout, and the items behind it are answered.
func TestAHangingFlushIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(func(ctx context.Context, _ []batch.Call[int]) ([]batch.Result[int], error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}, batch.Options[int]{Name: "test", Classify: classify, Timeout: 4 * time.Second, RideOut: 10 * time.Second, MaxItems: 1})
		stop := start(t, b)
		began := time.Now()
		for _, r := range queueUp(t, b, 5) {
			err := <-r
			require.ErrorIs(t, err, batch.ErrUnavailable)
			require.ErrorContains(t, err, "longer than 4s")
			require.Less(t, time.Since(began), 15*time.Second)
		}
		stop()
	})
}

// Two items are blocked by a lock that somebody holds. They are tried alone,
// and meanwhile the flusher serves the others without a pause.
func TestABlockedItemHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locked atomic.Bool
		locked.Store(true)
		b := batch.New(func(_ context.Context, calls []batch.Call[int]) ([]batch.Result[int], error) {
			for _, c := range calls {
				if c.In < 0 && locked.Load() {
					<-time.After(time.Second)
					return nil, errAlone
				}
			}
			return echo(calls), nil
		}, batch.Options[int]{Name: "test", Classify: classify, Lanes: 2})
		blocked := []<-chan error{do(t.Context(), t, b, -1), do(t.Context(), t, b, -2)}
		company := do(t.Context(), t, b, 1)
		synctest.Wait()
		stop := start(t, b)
		began := time.Now()
		require.NoError(t, <-company)
		require.LessOrEqual(t, time.Since(began), 2*time.Second, "one lock time-out together, at most one before its turn")
		began = time.Now()
		for i := range 100 {
			require.NoError(t, <-do(t.Context(), t, b, 2+i))
		}
		require.Zero(t, time.Since(began), "the flusher waited for a blocked item")
		locked.Store(false)
		requireAll(t, blocked)
		stop()
	})
}

func TestAloneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(func(context.Context, []batch.Call[int]) ([]batch.Result[int], error) {
			<-time.After(time.Second)
			return nil, errAlone
		}, batch.Options[int]{Name: "test", Classify: classify})
		stop := start(t, b)
		began := time.Now()
		err := <-do(t.Context(), t, b, 1)
		require.ErrorIs(t, err, batch.ErrUnavailable)
		require.ErrorIs(t, err, errAlone)
		require.LessOrEqual(t, time.Since(began), 12*time.Second)
		stop()
	})
}

func TestACallerLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := batch.New(s.flush, batch.Options[int]{Name: "test"})
		stop := start(t, b)
		first := do(t.Context(), t, b, 1)
		require.Equal(t, calls(0, 1), <-s.flushes)
		ctx, leave := context.WithCancel(t.Context())
		second := do(ctx, t, b, 2)
		synctest.Wait()
		third := do(t.Context(), t, b, 3)
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-second, context.Canceled)
		s.answers <- answer{}
		require.Equal(t, calls(0, 3), <-s.flushes, "the item of a caller that left must not be flushed")
		s.answers <- answer{}
		requireAll(t, []<-chan error{first, third})
		stop()
	})
}

func TestACallerLeavesItsFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := batch.New(s.flush, batch.Options[int]{Name: "test", Classify: classify})
		stop := start(t, b)
		ctx, leave := context.WithCancel(t.Context())
		left := do(ctx, t, b, 1)
		<-s.flushes
		leave()
		require.ErrorIs(t, <-left, context.Canceled)
		// The flush was not cancelled, and the item is tried again without its
		// caller: a done is sent once.
		s.answers <- answer{err: errTransient}
		require.Equal(t, calls(1, 1), <-s.flushes)
		s.answers <- answer{}
		stop()
	})
}

// Between two attempts an item is in the queue again, but it may have been
// committed, so it is not taken back.
func TestACallerLeavesBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := batch.New(s.flush, batch.Options[int]{Name: "test", Classify: classify})
		stop := start(t, b)
		ctx, leave := context.WithCancel(t.Context())
		left := do(ctx, t, b, 1)
		<-s.flushes
		s.answers <- answer{err: errTransient}
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-left, context.Canceled)
		require.Equal(t, calls(1, 1), <-s.flushes)
		s.answers <- answer{}
		stop()
	})
}

func TestALoneBadItemIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flushes atomic.Int64
		b := batch.New(func(context.Context, []batch.Call[int]) ([]batch.Result[int], error) {
			flushes.Add(1)
			return nil, errFatal
		}, batch.Options[int]{Name: "test", Classify: classify})
		stop := start(t, b)
		require.ErrorIs(t, <-do(t.Context(), t, b, 1), errFatal)
		require.Equal(t, int64(1), flushes.Load())
		stop()
	})
}

func TestAnEndedContextIsNotQueued(t *testing.T) {
	b := batch.New(newStage().flush, batch.Options[int]{Name: "test"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Do(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	start(t, b)() // and stops with nothing to drain
}

func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		b := batch.New(s.flush, batch.Options[int]{Name: "test", Classify: classify, MaxItems: 2})
		ctx, cancel := context.WithCancel(t.Context())
		run := make(chan error, 1)
		go func() { run <- b.Run(ctx) }()
		results := queueUp(t, b, 4)
		require.Equal(t, calls(0, 1), <-s.flushes)
		cancel()
		synctest.Wait()
		_, err := b.Do(t.Context(), 5)
		require.ErrorIs(t, err, batch.ErrStopped)
		s.answers <- answer{}
		require.Equal(t, calls(0, 2, 3), <-s.flushes)
		s.answers <- answer{err: errFatal} // to the lanes, which drain as well
		for range 2 {
			require.Len(t, <-s.flushes, 1)
		}
		select {
		case err := <-run:
			t.Fatalf("Run returned %v with items unanswered", err)
		default:
		}
		go func() {
			<-s.flushes
			s.answers <- answer{}
		}()
		s.answers <- answer{}
		s.answers <- answer{}
		requireAll(t, results)
		require.NoError(t, <-run)
		_, err = b.Do(t.Context(), 6)
		require.ErrorIs(t, err, batch.ErrStopped)
		require.ErrorContains(t, b.Run(t.Context()), "run twice")
	})
}

func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		// Two odd numbers do not go together.
		admit := func() func(int) bool {
			odd := 0
			return func(i int) bool {
				odd += i & 1
				return i&1 == 0 || odd <= 1
			}
		}
		b := batch.New(s.flush, batch.Options[int]{Name: "test", Admit: admit})
		results := queueUp(t, b, 5)
		stop := start(t, b)
		for _, want := range [][]int{{1, 2, 4}, {3}, {5}} {
			require.Equal(t, calls(0, want...), <-s.flushes)
			s.answers <- answer{}
		}
		requireAll(t, results)
		stop()
	})
}

func TestAdmitCannotStarveAnItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func() func(int) bool { return func(int) bool { return false } }
		b := batch.New(func(_ context.Context, calls []batch.Call[int]) ([]batch.Result[int], error) {
			return echo(calls), nil
		}, batch.Options[int]{Name: "test", Admit: never})
		stop := start(t, b)
		requireAll(t, queueUp(t, b, 3))
		stop()
	})
}

// A flush that does not answer each call once may have committed anything.
func TestAMiscountedFlushIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flushes := 0
		b := batch.New(func(_ context.Context, calls []batch.Call[int]) ([]batch.Result[int], error) {
			flushes++
			return echo(calls[1:]), nil
		}, batch.Options[int]{Name: "test", Classify: func(error) batch.Class { return batch.Transient }})
		results := queueUp(t, b, 3)
		stop := start(t, b)
		for _, r := range results {
			require.ErrorContains(t, <-r, `answered 3 calls with 2 results`)
		}
		require.Equal(t, 1, flushes)
		stop()
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		failed := false
		flush := func(_ context.Context, calls []batch.Call[int]) ([]batch.Result[int], error) {
			if !failed {
				failed = true
				return nil, errTransient
			}
			return echo(calls), nil
		}
		done := batch.New(flush, batch.Options[int]{Name: "done", Classify: classify, Registerer: reg})
		_ = batch.New(flush, batch.Options[int]{Name: "append", Registerer: reg})
		results := queueUp(t, done, 3)
		stop := start(t, done)
		requireAll(t, results)
		stop()

		problems, err := testutil.GatherAndLint(reg)
		require.NoError(t, err)
		require.Empty(t, problems)
		families, err := reg.Gather()
		require.NoError(t, err)
		seen := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := []string{f.GetName()}
				for _, l := range m.GetLabel() {
					name = append(name, l.GetValue())
				}
				series := strings.Join(name, " ")
				seen[series] = m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
				if f.GetName() == "wakelatch_batch_flush_seconds" {
					seen[series] = float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
		require.InDelta(t, 6, seen["wakelatch_batch_items done"], 0)
		require.InDelta(t, 2, seen["wakelatch_batch_flush_seconds done"], 0)
		require.InDelta(t, 3, seen["wakelatch_batch_retries_total done transient"], 0)
		require.Contains(t, seen, "wakelatch_batch_retries_total append alone")
	})
}

func TestErrorsNameTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(func(context.Context, []batch.Call[int]) ([]batch.Result[int], error) {
			return nil, errors.Join(errTransient)
		}, batch.Options[int]{Name: "append", Classify: classify, RideOut: time.Second})
		stop := start(t, b)
		_, err := b.Do(t.Context(), 1)
		require.EqualError(t, err, `batch "append": unavailable for 1s, try again: connection reset`)
		stop()
	})
}
