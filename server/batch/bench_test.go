package batch_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/wakelatch/wakelatch/server/batch"
)

// BenchmarkDo is the batcher's own cost: the flush does nothing.
func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		for _, keyed := range []bool{false, true} {
			b.Run(fmt.Sprintf("callers=%d/keyed=%t", callers, keyed), func(b *testing.B) {
				var flushes atomic.Int64
				results := make([]batch.Result[int], 128)
				o := batch.Options[int]{Name: "bench"}
				if keyed {
					o.Key = func(int) string { return "k" }
				}
				batcher := batch.New(func(_ context.Context, calls []batch.Call[int]) ([]batch.Result[int], error) {
					flushes.Add(1)
					return results[:len(calls)], nil
				}, o)
				start(b, batcher)
				b.ReportAllocs()
				b.SetParallelism(max(1, callers/2))
				if callers == 1 {
					for b.Loop() {
						if _, err := batcher.Do(b.Context(), 1); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := batcher.Do(b.Context(), 1); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/float64(flushes.Load()), "items/flush")
			})
		}
	}
}
