package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoAnswerMakesAClientLoop runs a client that repeats its requests by the published rules against every case of
// the table that is one of its calls: it ends, or pauses between two tries.
func TestNoAnswerMakesAClientLoop(t *testing.T) {
	w := newWorld(t)
	fresh := w.snapshot()
	counts := map[string]int{}
	for _, g := range groups() {
		for _, bad := range g.cases {
			r := bad.build(w)
			if !applies(r) {
				continue
			}
			kind := kindOf(r)
			counts[kind]++
			t.Run(bad.name, func(t *testing.T) {
				c := newClient(w, r)
				c.run(r)
				require.LessOrEqual(t, c.hot, hotLimit, "%s is repeated without a pause: %v", kind, c.trace)
				require.LessOrEqual(t, c.sent, perMinute, "%s is repeated too often: %v", kind, c.trace)
			})
			// A producer that raises its epoch has written something: what comes next needs the world as it was.
			if kind == producerAppend && !equal(fresh, w.snapshot()) {
				w = newWorld(t)
				fresh = w.snapshot()
			}
		}
	}
	t.Logf("%v", counts)
	require.Equal(t, []string{streamRead, singleShot, producerAppend}, sortedKinds(counts))
	require.Greater(t, counts[producerAppend], 20)
	require.Greater(t, counts[streamRead], 20)
	require.Greater(t, counts[singleShot], 80)
}

// TestClaimsThatAreNobodysDoNotEndTheRunner: the published runner goes on to the next event after these answers, and
// its loop ends with any other refusal.
func TestClaimsThatAreNobodysDoNotEndTheRunner(t *testing.T) {
	w := newWorld(t)
	for name, claim := range map[string]struct {
		id         string
		generation int64
	}{
		"confirmed already": {"held", 1}, "of the past": {"past", 1}, "of the future": {"waiting", 7}, "over": {"gone", 1},
		"paused": {"paused", 1}, "stopped": {"stopped", 1}, "killed": {"killed", 1}, "not there": {"none", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.send(request{method: "POST", path: "/_electric/runners/r1/claim", body: wakeEvent(claim.id, claim.generation)})
			require.True(t, skips(got), "%d %s", got.status, got.body)
		})
	}
}

// TestTheClientLoopsOnWhatIsNotSaid shows that the client of these tests does loop where an answer lets it.
func TestTheClientLoopsOnWhatIsNotSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request request
		answer  string
	}{
		"a bare 403 to a producer": {request{method: "POST", path: "/demo/one/main", header: producing("1", "1")}, "403"},
		"a bare 409 to a producer": {request{method: "POST", path: "/demo/one/main", header: producing("1", "1")}, "409"},
		"a 404 to a wake loop":     {request{method: "GET", path: "/runners/r1/wake?offset=-1"}, "404"},
		"a 503 that says no time":  {request{method: "GET", path: "/runners/r1/wake?offset=-1"}, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(&world{node: refusing(t, c.answer)}, c.request)
			client.run(c.request)
			require.Greater(t, client.hot, hotLimit)
		})
	}
}

func equal(a, b map[string]string) bool {
	for name, digest := range a {
		if b[name] != digest {
			return false
		}
	}
	return len(a) == len(b)
}
