package token_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/token"
)

// store stands for the rows of Postgres: the view's contract is with a
// function, and these tests decide when it answers.
type store struct {
	mu     sync.Mutex
	claims map[string]token.Claim
	over   map[string]int64
	asked  atomic.Int64
}

func (s *store) lookup(_ context.Context, _, stream string) (token.Claim, bool, error) {
	s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.claims[stream]; ok {
		return c, true, nil
	}
	return token.Claim{Epoch: s.over[stream]}, false, nil
}

func TestAuthorize(t *testing.T) {
	k := ring(t)
	s := &store{claims: map[string]token.Claim{claim(5).Stream: claim(5)}, over: map[string]int64{"demo/over/main": 9}}
	v := newView(t, k, s.lookup)
	over := token.Claim{Tenant: "default", Stream: "demo/over/main", Consumer: "w", Epoch: 9}
	foreign := token.Claim{Tenant: "other", Stream: "demo/three/main", Consumer: "w", Epoch: 1}
	steps := []struct {
		name, stream, tok string
		want              token.Reason
		asked             int64
	}{
		{"garbage is not looked up", claim(5).Stream, "garbage", token.Malformed, 0},
		{"a forged token is not looked up", claim(5).Stream, ring(t, key(9)).Sign(token.WriteToken, claim(5)), token.Forged, 0},
		{"a token for another stream is not looked up", "demo/two/main", k.Sign(token.WriteToken, claim(5)), token.Forged, 0},
		{"a claim token is not looked up", claim(5).Stream, k.Sign(token.ClaimToken, claim(5)), token.WrongKind, 0},
		{"another tenant's token is not looked up", foreign.Stream, k.Sign(token.WriteToken, foreign), token.Foreign, 0},
		{"the holder is looked up", claim(5).Stream, k.Sign(token.WriteToken, claim(5)), "", 1},
		{"and remembered", claim(5).Stream, k.Sign(token.WriteToken, claim(5)), "", 1},
		{"so an older one needs no look", claim(5).Stream, k.Sign(token.WriteToken, claim(4)), token.Over, 1},
		{"an ended one is looked up", over.Stream, k.Sign(token.WriteToken, over), token.Over, 2},
		{"and remembered as over", over.Stream, k.Sign(token.WriteToken, over), token.Over, 2},
	}
	for _, step := range steps {
		c, err := v.Authorize(t.Context(), "default", step.stream, step.tok)
		if step.want == "" {
			require.NoError(t, err, step.name)
			require.Equal(t, claim(5), c, step.name)
		} else {
			var refusal *token.RefusedError
			require.ErrorAs(t, err, &refusal, step.name)
			require.Equal(t, step.want, refusal.Reason, step.name)
		}
		require.Equal(t, step.asked, s.asked.Load(), step.name)
	}
}

func TestAFencedWriteIsLookedUpAgain(t *testing.T) {
	k := ring(t)
	s := &store{claims: map[string]token.Claim{claim(5).Stream: claim(5)}}
	v := newView(t, k, s.lookup)
	v.Put(claim(5))
	v.Fenced("default", claim(5).Stream, 5)
	require.Equal(t, token.Unknown, v.Check("default", claim(5).Stream, k.Sign(token.WriteToken, claim(5))))
	_, err := v.Authorize(t.Context(), "default", claim(5).Stream, k.Sign(token.WriteToken, claim(5)))
	require.NoError(t, err, "a fence alone does not say that the epoch is over")
	require.Equal(t, int64(1), s.asked.Load())
}

func TestAnErrorIsNotARefusal(t *testing.T) {
	k := ring(t)
	broken := errors.New("connection refused")
	v := newView(t, k, func(context.Context, string, string) (token.Claim, bool, error) { return token.Claim{}, false, broken })
	_, err := v.Authorize(t.Context(), "default", claim(5).Stream, k.Sign(token.WriteToken, claim(5)))
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, token.ErrRefused)
	require.ErrorContains(t, err, claim(5).Stream)
}

// gate is a look-up that a test holds open.
type gate struct {
	began  chan string
	answer chan func() (token.Claim, bool, error)
	asked  atomic.Int64
}

func newGate() *gate {
	return &gate{began: make(chan string, 1000), answer: make(chan func() (token.Claim, bool, error))}
}

func (g *gate) lookup(ctx context.Context, _, stream string) (token.Claim, bool, error) {
	g.asked.Add(1)
	g.began <- stream
	select {
	case a := <-g.answer:
		return a()
	case <-ctx.Done():
		return token.Claim{}, false, context.Cause(ctx)
	}
}

func yes(c token.Claim) func() (token.Claim, bool, error) {
	return func() (token.Claim, bool, error) { return c, true, nil }
}

// The claim is dropped while a look-up that saw it active is under way: the
// look-up must neither allow the write nor bring the claim back.
func TestADropOvertakesALookup(t *testing.T) {
	k := ring(t)
	g := newGate()
	v := newView(t, k, g.lookup)
	tok := k.Sign(token.WriteToken, claim(5))
	result := make(chan error)
	go func() {
		_, err := v.Authorize(t.Context(), "default", claim(5).Stream, tok)
		result <- err
	}()
	<-g.began
	v.Drop("default", claim(5).Stream, 5)
	g.answer <- yes(claim(5))
	require.ErrorIs(t, <-result, token.ErrRefused)
	require.Equal(t, token.Refused, v.Check("default", claim(5).Stream, tok))
	require.Zero(t, v.Len())
}

func TestCallersShareOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		g := newGate()
		v := newView(t, k, g.lookup)
		tok := k.Sign(token.WriteToken, claim(5))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := v.Authorize(t.Context(), "default", claim(5).Stream, tok); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		g.answer <- yes(claim(5))
		wg.Wait()
		require.Equal(t, int64(1), g.asked.Load())
	})
}

// A look that began before the newer claim was made answers for the older one.
// The newer holder must not be refused by it.
func TestALookThatBeganEarlierRefusesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		g := newGate()
		v := newView(t, k, g.lookup)
		results := make(chan error, 2)
		authorize := func(epoch int64) {
			_, err := v.Authorize(t.Context(), "default", claim(epoch).Stream, k.Sign(token.WriteToken, claim(epoch)))
			results <- err
		}
		go authorize(5)
		synctest.Wait()
		<-time.After(time.Millisecond)
		go authorize(6)
		synctest.Wait()
		g.answer <- yes(claim(5))
		require.NoError(t, <-results)
		g.answer <- yes(claim(6))
		require.NoError(t, <-results)
		require.Equal(t, int64(2), g.asked.Load())
	})
}

func TestLookupsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		g := newGate()
		v := token.NewView(k, token.Options{Trust: lease, Lookup: g.lookup, MaxLookups: 3})
		const n = 20
		results := make(chan error, n)
		for i := range n {
			c := token.Claim{Tenant: "default", Stream: fmt.Sprintf("demo/%d/main", i), Consumer: "w", Epoch: 1}
			go func() {
				_, err := v.Authorize(t.Context(), "default", c.Stream, k.Sign(token.WriteToken, c))
				results <- err
			}()
		}
		for range n {
			synctest.Wait()
			require.LessOrEqual(t, len(g.began), 3, "more looks at once than allowed")
			<-g.began
			g.answer <- yes(token.Claim{Consumer: "w", Epoch: 1})
			require.NoError(t, <-results)
		}
	})
}

// One caller's patience is its own: the others keep the look, and the last to
// leave ends it.
func TestACallerMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		g := newGate()
		v := newView(t, k, g.lookup)
		tok := k.Sign(token.WriteToken, claim(5))
		first, leave := context.WithCancel(t.Context())
		left, stayed := make(chan error), make(chan error)
		go func() {
			_, err := v.Authorize(first, "default", claim(5).Stream, tok)
			left <- err
		}()
		synctest.Wait()
		go func() {
			_, err := v.Authorize(t.Context(), "default", claim(5).Stream, tok)
			stayed <- err
		}()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-left, context.Canceled)
		g.answer <- yes(claim(5))
		require.NoError(t, <-stayed)

		v.Distrust()
		alone, leave := context.WithCancel(t.Context())
		go func() {
			_, err := v.Authorize(alone, "default", claim(5).Stream, tok)
			left <- err
		}()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-left, context.Canceled)
		synctest.Wait() // the bubble ends only if the look has ended too
	})
}

func TestALookupIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		v := newView(t, k, newGate().lookup)
		began := time.Now()
		_, err := v.Authorize(t.Context(), "default", claim(5).Stream, k.Sign(token.WriteToken, claim(5)))
		require.ErrorContains(t, err, "longer than 20s")
		require.Equal(t, 20*time.Second, time.Since(began))
	})
}

func TestResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		v := newView(t, k, nil)
		at := func(stream string, epoch int64) token.Claim {
			return token.Claim{Tenant: "default", Stream: stream, Consumer: "w", Epoch: epoch}
		}
		check := func(c token.Claim) token.Verdict { return v.Check("default", c.Stream, k.Sign(token.WriteToken, c)) }
		pass := func() { <-time.After(time.Millisecond) }

		for _, s := range []string{"gone", "kept", "older", "renewed", "dropped"} {
			v.Put(at(s, 5))
		}
		v.Distrust()
		pass()
		mark := v.BeginResync()
		pass()
		// While the listing is read, the world goes on.
		v.Put(at("renewed", 5))
		v.Put(at("made", 1))
		v.Put(at("older", 6))
		v.Drop("default", "dropped", 5)
		v.Resync(mark, []token.Claim{at("kept", 5), at("older", 5), at("dropped", 5), at("listed", 2)})

		require.Equal(t, token.Valid, check(at("kept", 5)), "a listed claim is trusted again")
		require.Equal(t, token.Valid, check(at("listed", 2)), "a claim that was not known is taken")
		require.Equal(t, token.Unknown, check(at("gone", 5)), "a missing claim is looked up")
		require.Equal(t, token.Valid, check(at("renewed", 5)), "a put that raced the listing stays")
		require.Equal(t, token.Valid, check(at("made", 1)), "a new claim that raced the listing stays")
		require.Equal(t, token.Valid, check(at("older", 6)), "an older listed epoch replaces nothing")
		require.Equal(t, token.Refused, check(at("dropped", 5)), "a drop that raced the listing stands")
		require.Equal(t, 5, v.Len())

		<-time.After(lease - time.Millisecond)
		require.Equal(t, token.Unknown, check(at("kept", 5)), "trust runs from the mark, not from the listing's end")
	})
}

func TestAnOldListingIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ring(t)
		v := token.NewView(k, token.Options{Trust: time.Hour, Lookup: noLookup})
		mark := v.BeginResync()
		v.Put(claim(5))
		<-time.After(time.Minute)
		v.Resync(mark, []token.Claim{claim(6)})
		require.Equal(t, token.Unknown, v.Check("default", claim(5).Stream, k.Sign(token.WriteToken, claim(5))))
		require.Equal(t, 1, v.Len())
	})
}
