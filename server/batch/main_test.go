package batch_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wakelatch/wakelatch/server/batch"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var (
	errTransient = errors.New("connection reset")
	errAlone     = errors.New("lock time-out")
	errFatal     = errors.New("value out of range")
)

func classify(err error) batch.Class {
	switch {
	case errors.Is(err, errTransient), errors.Is(err, context.DeadlineExceeded):
		return batch.Transient
	case errors.Is(err, errAlone):
		return batch.Alone
	}
	return batch.Fatal
}

// start runs a batcher for the length of a test and returns what stops it and
// waits until it has.
func start[In, Out any](tb testing.TB, b *batch.Batcher[In, Out]) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// echo answers every call with its input.
func echo[T any](calls []batch.Call[T]) []batch.Result[T] {
	results := make([]batch.Result[T], len(calls))
	for i, c := range calls {
		results[i].Out = c.In
	}
	return results
}

// answer is how a test's flush ends.
type answer struct {
	results []batch.Result[int]
	err     error
}

// stage hands every flush to the test, which says how it ends.
type stage struct {
	flushes chan []batch.Call[int]
	answers chan answer
}

func newStage() *stage {
	return &stage{flushes: make(chan []batch.Call[int]), answers: make(chan answer)}
}

func (s *stage) flush(ctx context.Context, calls []batch.Call[int]) ([]batch.Result[int], error) {
	s.flushes <- append([]batch.Call[int](nil), calls...)
	select {
	case a := <-s.answers:
		if a.results == nil && a.err == nil {
			return echo(calls), nil
		}
		return a.results, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// do calls Do in the background and returns where its error will be.
func do(ctx context.Context, tb testing.TB, b *batch.Batcher[int, int], in int) <-chan error {
	tb.Helper()
	result := make(chan error, 1)
	go func() {
		out, err := b.Do(ctx, in)
		if err == nil && out != in {
			err = errors.New("the answer of another item")
		}
		result <- err
	}()
	return result
}

func calls(attempt int, in ...int) []batch.Call[int] {
	var cs []batch.Call[int]
	for _, i := range in {
		cs = append(cs, batch.Call[int]{In: i, Attempt: attempt})
	}
	return cs
}

func requireAll(tb testing.TB, results []<-chan error) {
	tb.Helper()
	for _, r := range results {
		require.NoError(tb, <-r)
	}
}
