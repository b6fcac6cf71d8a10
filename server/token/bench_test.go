package token_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/token"
)

func TestCheckAllocatesNothing(t *testing.T) {
	k := ring(t, key(1), key(2))
	v := newView(t, k, nil)
	v.Put(claim(5))
	other := claim(5)
	other.Consumer = "w_other"
	tok := k.Sign(token.WriteToken, claim(5))
	for name, tc := range map[string]struct {
		tok string
		max float64
	}{
		"valid":   {tok, 0},
		"over":    {k.Sign(token.WriteToken, claim(4)), 0},
		"unknown": {k.Sign(token.WriteToken, claim(6)), 0},
		"garbage": {"garbage", 0},
		// These compute a MAC per key on a pooled state, and the race detector
		// makes a pool forget.
		"forged":             {tok[:len(tok)-2] + "AA", 8},
		"by the ring's next": {ring(t, key(2)).Sign(token.WriteToken, claim(5)), 8},
	} {
		t.Run(name, func(t *testing.T) {
			stream := claim(5).Stream
			require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { v.Check("default", stream, tc.tok) }), tc.max)
		})
	}
}

type presented struct{ stream, tok string }

// filled is a view with n claims and what their holders present, in an order
// that no cache can guess.
func filled(b *testing.B, n int) (*token.View, []presented) {
	b.Helper()
	k := ring(b)
	v := newView(b, k, nil)
	all := make([]presented, n)
	for i := range all {
		c := token.Claim{Tenant: "default", Stream: fmt.Sprintf("demo/agent-%08d/main", i), Consumer: fmt.Sprintf("w_%016x", i), Epoch: 7}
		v.Put(c)
		all[i] = presented{c.Stream, k.Sign(token.WriteToken, c)}
	}
	rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // an order, not a secret
	// What a request presents has just been read and is in the cache: laying
	// it out in the order of use leaves only the view's own misses.
	var texts strings.Builder
	for _, p := range all {
		texts.WriteString(p.stream + p.tok)
	}
	rest := texts.String()
	for i, p := range all {
		n, m := len(p.stream), len(p.stream)+len(p.tok)
		all[i], rest = presented{rest[:n], rest[n:m]}, rest[m:]
	}
	return v, all
}

// run keeps the view's clock going while a benchmark lasts.
func run(b *testing.B, v *token.View) {
	b.Helper()
	done := make(chan struct{})
	ctx := b.Context()
	go func() {
		defer close(done)
		_ = v.Run(ctx)
	}()
	b.Cleanup(func() { <-done })
}

func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		for _, clock := range []bool{true, false} {
			b.Run(fmt.Sprintf("claims=%d/run=%t", n, clock), func(b *testing.B) {
				v, all := filled(b, n)
				if clock {
					run(b, v)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					p := &all[i]
					if i++; i == n {
						i = 0
					}
					if v.Check("default", p.stream, p.tok) != token.Valid {
						b.Fatal("a holder was refused")
					}
				}
			})
		}
	}
}

func BenchmarkCheckParallel(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("claims=%d", n), func(b *testing.B) {
			v, all := filled(b, n)
			run(b, v)
			b.ReportAllocs()
			b.ResetTimer()
			var begin atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				i := int(begin.Add(1)) * 7919 % n
				for pb.Next() {
					p := &all[i]
					if i++; i == n {
						i = 0
					}
					if v.Check("default", p.stream, p.tok) != token.Valid {
						b.Error("a holder was refused")
						return
					}
				}
			})
		})
	}
}

// BenchmarkCheckHot is a large view of which a thousand streams write, as
// on a node: the entries in use are in the cache.
func BenchmarkCheckHot(b *testing.B) {
	v, all := filled(b, 1_000_000)
	all = all[:1000]
	run(b, v)
	b.ReportAllocs()
	runtime.GC()
	i := 0
	for b.Loop() {
		p := &all[i]
		if i++; i == len(all) {
			i = 0
		}
		v.Check("default", p.stream, p.tok)
	}
}

// BenchmarkCheckRefused is what garbage and old tokens cost.
func BenchmarkCheckRefused(b *testing.B) {
	k := ring(b)
	v, all := filled(b, 1000)
	run(b, v)
	old := token.Claim{Tenant: "default", Stream: all[0].stream, Consumer: "w_old", Epoch: 6}
	for name, tok := range map[string]string{
		"garbage": "garbage",
		"over":    k.Sign(token.WriteToken, old),
		"forged":  all[0].tok[:len(all[0].tok)-2] + "AA",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.Check("default", all[0].stream, tok)
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	k := ring(b)
	b.ReportAllocs()
	for b.Loop() {
		k.Sign(token.WriteToken, claim(7))
	}
}

// BenchmarkMemory reports what one active claim takes, all included.
func BenchmarkMemory(b *testing.B) {
	const n = 200_000
	k := ring(b)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var perClaim float64
	for b.Loop() {
		before := heap()
		v := newView(b, k, nil)
		began := time.Now()
		for i := range n {
			v.Put(token.Claim{Tenant: "default", Stream: fmt.Sprintf("demo/agent-%08d/main", i), Consumer: fmt.Sprintf("w_%016x", i), Epoch: 7})
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/n, "ns/put")
		perClaim = float64(heap()-before) / n
		runtime.KeepAlive(v)
	}
	b.ReportMetric(perClaim, "B/claim")
	require.Less(b, perClaim, 400.0)
}
