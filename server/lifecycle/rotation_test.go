package lifecycle_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

// restart stops a node as SIGTERM does and starts another one with these keys.
func (n *node) restart(keys ...[]byte) *node {
	n.c.t.Helper()
	ctx, cancel := context.WithTimeout(n.c.t.Context(), patience)
	defer cancel()
	require.NoError(n.c.t, n.server.Stop(ctx))
	return n.c.start(withKeys(keys...))
}

func withKeys(keys ...[]byte) change {
	return func(o *server.Options) { o.TokenKeys = keys }
}

// nextFor waits for the next wake event of the entity.
func (i *inbox) nextFor(id string) wakeEvent {
	i.n.c.t.Helper()
	for {
		if e := i.next(); e.Stream == "demo/"+id+"/main" {
			return e
		}
	}
}

// TestTokenKeyIsRotatedUnderLiveClaims takes the three steps of a rotation, a node at a time, while a claim of the old key
// is held and new ones come and go: nothing that a holder sends is refused before the old key is gone.
func TestTokenKeyIsRotatedUnderLiveClaims(t *testing.T) {
	t.Parallel()
	old, next := bytes.Repeat([]byte("o"), 32), bytes.Repeat([]byte("n"), 32)
	c := newCluster(t)
	a, b := c.start(withKeys(old)), c.start(withKeys(old))
	a.oneWake()
	a.spawn("two", "hello")
	wakes := a.inbox()
	held, second := a.claim(wakes.next()), a.claim(wakes.next())
	held.confirm(b)
	second.confirm(a)

	works := func(w *wake) {
		t.Helper()
		for _, n := range []*node{a, b} {
			w.mustAppend(n)
			require.Equal(t, http.StatusOK, w.heartbeat(n).status)
			require.Equal(t, http.StatusOK, w.tag(n, "red").status)
		}
	}
	// Each wake in between is claimed on one node and confirmed on the other, which may have another first key.
	between := func(id string) {
		t.Helper()
		works(held)
		a.spawn(id, "hello")
		wakes := a.inbox()
		e := wakes.nextFor(id)
		for i, pair := range [][2]*node{{a, b}, {b, a}} {
			if i > 0 {
				a.send(id, "again")
				e = wakes.nextFor(id)
			}
			w := pair[0].claim(e)
			w.confirm(pair[1])
			works(w)
			w.done(pair[1])
			w.released(pair[0], "idle")
		}
	}
	for step, keys := range [][][]byte{{old, next}, {next, old}} {
		name := string(rune('p' + 2*step))
		a = a.restart(keys...)
		between(name)
		b = b.restart(keys...)
		between(name + "2")
	}
	held.done(a)
	held.released(b, "idle")

	// The second claim was held for too long: its holder's tokens end with the old key, and its lease ends the claim.
	works(second)
	a = a.restart(next)
	for _, answer := range []answer{second.append(a), second.heartbeat(a), second.tag(a, "blue"), second.call(a, second.doneBody(""))} {
		require.Equal(t, http.StatusUnauthorized, answer.status, "%s", answer.body)
	}
	second.mustAppend(b)
	b = b.restart(next)
	require.Equal(t, http.StatusUnauthorized, second.append(b).status)
	c.consistent()
}
