package batch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/batch"
)

type entry struct {
	key  string
	seq  int
	poor bool // fails whatever is done
}

// ledger is a store that commits a flush or fails it, sometimes after the
// commit, and finds an item it has already when it comes again.
type ledger struct {
	mu      sync.Mutex
	rand    *rand.Rand
	trouble int // percent of flushes that fail
	had     map[string]map[int]bool
	order   map[string][]int
	busy    map[string]bool
	overlap string
}

func (l *ledger) flush(_ context.Context, calls []batch.Call[entry]) ([]batch.Result[int], error) {
	if broken := l.begin(calls); broken != nil {
		l.end(calls)
		return nil, broken
	}
	<-time.After(time.Millisecond)
	defer l.end(calls)
	l.mu.Lock()
	defer l.mu.Unlock()
	results := make([]batch.Result[int], len(calls))
	for i, c := range calls {
		if c.In.poor {
			return nil, errFatal // before the commit: nothing of this flush stays
		}
		results[i].Out = c.In.seq
	}
	for _, c := range calls {
		if l.had[c.In.key] == nil {
			l.had[c.In.key] = map[int]bool{}
		}
		if l.had[c.In.key][c.In.seq] {
			if c.Attempt == 0 {
				return nil, fmt.Errorf("item %v came twice as new", c.In)
			}
			continue
		}
		l.had[c.In.key][c.In.seq] = true
		l.order[c.In.key] = append(l.order[c.In.key], c.In.seq)
	}
	if l.rand.IntN(100) < l.trouble {
		return nil, errTransient // the answer to the COMMIT was lost
	}
	return results, nil
}

func (l *ledger) begin(calls []batch.Call[entry]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := map[string]bool{}
	for _, c := range calls {
		if l.busy[c.In.key] && !mine[c.In.key] {
			l.overlap = c.In.key
		}
		l.busy[c.In.key], mine[c.In.key] = true, true
	}
	switch p := l.rand.IntN(300); {
	case p < l.trouble:
		return errTransient
	case p < 2*l.trouble:
		return errAlone
	}
	return nil
}

// chance is true that many times in a hundred.
func (l *ledger) chance(percent int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rand.IntN(100) < percent
}

func (l *ledger) end(calls []batch.Call[entry]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range calls {
		delete(l.busy, c.In.key)
	}
}

// Whatever fails, every item is committed once and answered with its own
// result, a bad item fails alone, and the items of a key stay in order and
// out of each other's flushes.
func TestKeyKeepsOrderWhateverFails(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.IntRange(1, 5).Draw(rt, "keys")
		perKey := rapid.IntRange(1, 15).Draw(rt, "items of a key")
		poor := rapid.IntRange(0, 20).Draw(rt, "percent poor")
		l := &ledger{
			rand:    rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)), //nolint:gosec // repeatable chance
			trouble: rapid.IntRange(0, 40).Draw(rt, "trouble"),
			had:     map[string]map[int]bool{}, order: map[string][]int{}, busy: map[string]bool{},
		}
		o := batch.Options[entry]{
			Name: "test", Classify: classify, Key: func(e entry) string { return e.key },
			MaxItems: rapid.IntRange(1, 10).Draw(rt, "max items"),
			Flushers: rapid.IntRange(1, 3).Draw(rt, "flushers"),
			Lanes:    rapid.IntRange(1, 3).Draw(rt, "lanes"),
			RideOut:  time.Hour,
		}
		synctest.Test(t, func(t *testing.T) {
			b := batch.New(l.flush, o)
			stop := start(t, b)
			var wg sync.WaitGroup
			want := map[string][]int{}
			for seq := range perKey {
				for k := range keys {
					e := entry{key: fmt.Sprintf("k%d", k), seq: seq}
					if e.poor = l.chance(poor); !e.poor {
						want[e.key] = append(want[e.key], seq)
					}
					wg.Go(func() {
						out, err := b.Do(t.Context(), e)
						if e.poor != errors.Is(err, errFatal) || err == nil && out != e.seq {
							t.Errorf("item %+v was answered %d, %v", e, out, err)
						}
					})
					synctest.Wait() // the order of the calls to Do is this one
				}
			}
			wg.Wait()
			stop()
			require.Empty(t, l.overlap, "two flushes had this key at once")
			if len(want) == 0 {
				require.Empty(t, l.order)
				return
			}
			require.Equal(t, want, l.order)
		})
	})
}
