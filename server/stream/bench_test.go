package stream_test

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/wakelatch/wakelatch/server/stream"
)

// BenchmarkAppend is what the group commit gives: writers of their own streams, all at once.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			n := open(b)
			for w := range writers {
				n.main(fmt.Sprintf("demo/%d/main", w), "w_1", 1)
			}
			var next atomic.Int64
			b.SetParallelism(max(writers/2, 1))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				path := fmt.Sprintf("demo/%d/main", next.Add(1)%int64(writers))
				req := held(jsonBody(path, `[{"type":"inbox","key":"k","value":{"a":1},"headers":{"operation":"insert"}}]`), "w_1", 1)
				for pb.Next() {
					n.append(req)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}

// BenchmarkRead is a catch-up of a thousand small appends.
func BenchmarkRead(b *testing.B) {
	n := open(b)
	n.main("demo/one/main", "w_1", 1)
	n.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
		SELECT 'default', 'demo/one/main', 20 * i, '{"a":"0123456789"}' FROM generate_series(1, 1000) i`)
	b.ReportAllocs()
	for b.Loop() {
		n.read("demo/one/main", stream.Beginning).Render()
	}
}
