package lifecycle_test

import (
	"net/http"

	"github.com/stretchr/testify/require"
)

func policyOf(runner string) object {
	return object{"targets": []object{{"type": "runner", "runnerId": runner}}}
}

// tryMove moves the entity one, from any goroutine.
func (n *node) tryMove(runner string) (answer, error) {
	return n.try("PUT", "/_electric/entities/demo/one/dispatch-policy", object{"dispatch_policy": policyOf(runner), "reason": "r1 is being repaired"})
}

func (n *node) move(runner string) {
	n.c.t.Helper()
	a, err := n.tryMove(runner)
	require.NoError(n.c.t, err)
	require.Equal(n.c.t, http.StatusOK, a.status, "move: %s", a.body)
}

// runner registers another runner and returns the inbox of its wakes.
func (n *node) runner(id string) *inbox {
	n.c.t.Helper()
	n.must(http.StatusCreated, "POST", "/_electric/runners", object{"id": id, "label": "test"})
	return &inbox{n: n, path: "/runners/" + id + "/wake", offset: "-1"}
}

// claimFor claims a wake for a runner, from any goroutine.
func (n *node) claimFor(runner string, e wakeEvent) (answer, error) {
	return n.try("POST", "/_electric/runners/"+runner+"/claim", e)
}

// workFor claims a wake for a runner and confirms the claim.
func (n *node) workFor(runner string, e wakeEvent) *wake {
	n.c.t.Helper()
	a, err := n.claimFor(runner, e)
	require.NoError(n.c.t, err)
	require.Equal(n.c.t, http.StatusOK, a.status, "claim: %s", a.body)
	w := n.c.readWake(a)
	w.confirm(n)
	return w
}

func movedWhilePendingClaimedAndPaused(t story) {
	c, a, b, ofOne := oneWake(t)
	ofTwo := b.runner("r2")
	// Pending: the wake that is out goes with the entity, as the next generation.
	old := ofOne.next()
	b.move("r2")
	e := ofTwo.next()
	require.Equal(t, old.Generation+1, e.Generation)
	late := a.askClaim(old)
	require.Equal(t, http.StatusConflict, late.status, "%s", late.body)
	require.Equal(t, "NO_PENDING_WORK", late.code())
	// Claimed: the holder finishes; the wake after it goes to the other runner.
	w := b.workFor("r2", e)
	a.move("r1")
	a.send("one", "again")
	w.mustAppend(b)
	w.done(a)
	next := ofOne.nextOf(e.Generation + 1)
	w.released(b, "idle")
	held := a.work(next)
	held.mustAppend(b)
	held.done(b)
	held.released(a, "idle")
	// Paused: nothing until SIGCONT, and then for the other runner.
	a.sendSignal("SIGSTOP")
	b.must(http.StatusOK, "POST", "/_electric/entities/demo/one/send", object{"payload": "later", "mode": "paused"})
	made := value[int64](c, `SELECT generation FROM wakelatch.entity_dispatch_state`)
	a.move("r2")
	require.Equal(t, made, value[int64](c, `SELECT generation FROM wakelatch.entity_dispatch_state`))
	b.sendSignal("SIGCONT")
	b.workFor("r2", ofTwo.nextOf(made+1)).done(a)
	c.eventually(func() bool { return a.status("one") == "idle" }, "never released")
	c.movesAreRefused(a, b)
	require.EqualValues(t, 3, value[int64](c, `SELECT count(*) FROM wakelatch.actions
		WHERE action = 'moved' AND actor = '/principal/user%3Aalice' AND reason = 'r1 is being repaired'`))
	c.consistent()
	c.sweepReleasedNothing(a, b)
}

// movesAreRefused asks for moves that change nothing.
func (c *cluster) movesAreRefused(a, b *node) {
	c.t.Helper()
	before := value[string](c, `SELECT e::text || d::text FROM wakelatch.entities e, wakelatch.entity_dispatch_state d`)
	a.move("r2")
	path := "/_electric/entities/demo/one/dispatch-policy"
	for _, refused := range []struct {
		body object
		code string
	}{
		{object{"dispatch_policy": policyOf("nobody"), "reason": "x"}, "UNKNOWN_RUNNER"},
		{object{"dispatch_policy": nil, "reason": "x"}, "INVALID_REQUEST"},
		{object{"dispatch_policy": policyOf("r1")}, "INVALID_REQUEST"},
	} {
		got := b.must(http.StatusBadRequest, "PUT", path, refused.body)
		require.Equal(c.t, refused.code, got.code())
	}
	b.must(http.StatusNotFound, "PUT", "/_electric/entities/demo/nobody/dispatch-policy", object{"dispatch_policy": policyOf("r1"), "reason": "x"})
	require.Equal(c.t, before, value[string](c, `SELECT e::text || d::text FROM wakelatch.entities e, wakelatch.entity_dispatch_state d`))
}

const moveRounds = 60

// moveRacesClaim lets a move and the claims of both runners leave one barrier: one runner gets the work, once.
func moveRacesClaim(t story) {
	c, a, b, ofOne := oneWake(t)
	inboxes := map[string]*inbox{"r1": ofOne, "r2": a.runner("r2")}
	from, to := "r1", "r2"
	won := map[string]int{}
	e := ofOne.next()
	for range moveRounds {
		free := c.holdDispatch()
		wait := c.atOnce(
			func() (answer, error) { return a.claimFor(from, e) },
			func() (answer, error) { return b.tryMove(to) },
			func() (answer, error) { return b.claimFor(to, e) },
		)
		c.blocked(2, "-- name: Lock")
		free()
		got := wait()
		require.Equal(t, http.StatusOK, got[1].status, "%s", got[1].body)
		require.Equal(t, http.StatusConflict, got[2].status, "the wake is not for %s: %s", to, got[2].body)
		winner, claimed := from, got[0].answer
		if claimed.status != http.StatusOK {
			require.Equal(t, "NO_PENDING_WORK", claimed.code(), "%s", claimed.body)
			winner = to
			var err error
			claimed, err = a.claimFor(to, inboxes[to].nextOf(e.Generation+1))
			require.NoError(t, err)
		}
		won[winner]++
		w := c.readWake(claimed)
		require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM wakelatch.consumer_claims WHERE status = 'active'`))
		w.confirm(b)
		w.mustAppend(a)
		w.done(b)
		w.released(a, "idle")
		a.send("one", "again")
		e = inboxes[to].nextOf(w.Epoch + 1)
		from, to = to, from
	}
	require.Positive(t, won["r1"])
	require.Positive(t, won["r2"])
	t.Log(won)
	c.consistent()
	c.sweepReleasedNothing(a, b)
}
