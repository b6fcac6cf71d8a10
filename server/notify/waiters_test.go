package notify_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/notify"
)

func woken(w *notify.Waiter) bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

func TestWaiters(t *testing.T) {
	ws := notify.NewWaiters()
	ws.Wake("t", "a") // nobody waits
	one, two := ws.Subscribe("t", "a"), ws.Subscribe("t", "a")
	other, foreign := ws.Subscribe("t", "b"), ws.Subscribe("u", "a")
	require.False(t, woken(one), "a waiter begins without a signal")

	ws.Wake("t", "a")
	ws.Wake("t", "a")
	require.True(t, woken(one), "the signal is kept until it is read")
	require.False(t, woken(one), "and is one signal")
	require.True(t, woken(two))
	require.False(t, woken(other))
	require.False(t, woken(foreign))

	require.Equal(t, 3, ws.Places())
	one.Close()
	one.Close()
	ws.Wake("t", "a")
	require.False(t, woken(one))
	require.True(t, woken(two), "closing one must not lose another")
	ws.WakeAll()
	for _, w := range []*notify.Waiter{two, other, foreign} {
		require.True(t, woken(w))
		w.Close()
	}
	require.Zero(t, ws.Places())
}

// Nobody sleeps through news: each waiter reads a state that the waker has
// raised before it wakes.
func TestWaitersLoseNothing(t *testing.T) {
	const waiters, last = 20, 500
	ws := notify.NewWaiters()
	var mu sync.Mutex
	tails := map[string]int{}
	read := func(key string) int {
		mu.Lock()
		defer mu.Unlock()
		return tails[key]
	}
	var wg sync.WaitGroup
	for i := range waiters {
		key := strconv.Itoa(i % 4)
		wg.Go(func() {
			for seen := 0; seen < last; {
				w := ws.Subscribe("t", key)
				now := read(key)
				if now == seen {
					<-w.C
					now = read(key)
				}
				seen = now
				w.Close()
			}
		})
	}
	for n := 1; n <= last; n++ {
		for i := range 4 {
			key := strconv.Itoa(i)
			mu.Lock()
			tails[key] = n
			mu.Unlock()
			ws.Wake("t", key)
		}
	}
	wg.Wait()
	require.Zero(t, ws.Places())
}

func BenchmarkWaiters(b *testing.B) {
	ws := notify.NewWaiters()
	for i := range 10_000 {
		ws.Subscribe("t", fmt.Sprintf("demo/%d/main", i))
	}
	b.Run("subscribe and close", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ws.Subscribe("t", "demo/1/main").Close()
			}
		})
	})
	b.Run("wake one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ws.Wake("t", "demo/1/main")
		}
	})
	b.Run("wake nobody", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ws.Wake("t", "demo/none/main")
			}
		})
	})
}
