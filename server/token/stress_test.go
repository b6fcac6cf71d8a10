package token_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/token"
)

// Hand-overs race with checks, late drops, late puts and listings. Once a
// drop has returned, every check that begins afterwards refuses its epoch.
func TestHandOversUnderLoad(t *testing.T) {
	const streams, epochs = 40, 120
	k := ring(t)
	v := newView(t, k, nil)
	name := func(i int) string { return fmt.Sprintf("demo/%d/main", i) }
	toks := make([][]string, streams)
	for i := range toks {
		for e := range int64(epochs + 1) {
			toks[i] = append(toks[i], k.Sign(token.WriteToken,
				token.Claim{Tenant: "t", Stream: name(i), Consumer: "w", Epoch: e}))
		}
	}
	var over [streams]atomic.Int64
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i = (i + 1) % streams {
				select {
				case <-done:
					return
				default:
				}
				ended := over[i].Load()
				if got := v.Check("t", name(i), toks[i][ended]); got != token.Refused && ended > 0 {
					t.Errorf("stream %d: epoch %d was dropped, the check says %s", i, ended, got)
					return
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				v.Resync(v.BeginResync(), nil)
			}
		}
	})
	for i := range streams {
		writers.Go(func() {
			for e := int64(1); e <= epochs; e++ {
				c := token.Claim{Tenant: "t", Stream: name(i), Consumer: "w", Epoch: e}
				v.Put(c)
				v.Drop("t", c.Stream, e)
				over[i].Store(e)
				v.Put(c)
				v.Fenced("t", c.Stream, e)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	require.Zero(t, v.Len())
}
