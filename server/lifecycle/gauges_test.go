package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGaugesMoveWithAWake reads the metrics of both nodes before, during and after a wake.
func TestGaugesMoveWithAWake(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a, b := c.two()
	a.prepare()
	both := func(name string, want float64, labels ...string) {
		t.Helper()
		for _, n := range []*node{a, b} {
			c.eventually(func() bool {
				got, shown := n.sample(name, labels...)
				return shown && got == want
			}, "%s%v never became %v", name, labels, want)
		}
	}
	both("wakelatch_claims_active", 0, `tenant="default"`)
	both("wakelatch_claims_oldest_active_age_seconds", 0)
	both("wakelatch_listener_connected", 1)

	a.spawn("one", "hello")
	w := a.claim(b.inbox().next())
	both("wakelatch_claims_active", 1, `tenant="default"`)
	for _, n := range []*node{a, b} {
		c.eventually(func() bool {
			age, _ := n.sample("wakelatch_claims_oldest_active_age_seconds")
			return age > 0
		}, "the claim has no age")
	}
	w.confirm(b)
	w.mustAppend(b)
	require.Equal(t, 1, b.metric("wakelatch_tokens"))
	require.Equal(t, 1, b.metric("wakelatch_appends_total"))

	w.done(a)
	w.released(b, "idle")
	both("wakelatch_claims_active", 0, `tenant="default"`)
	both("wakelatch_claims_oldest_active_age_seconds", 0)
	both("wakelatch_tokens", 0)
	require.Equal(t, 1, a.metric("wakelatch_dones_total", `outcome="recorded"`))
	require.Equal(t, 1, a.metric("wakelatch_releases_total", `outcome="released"`, `by="job"`)+
		b.metric("wakelatch_releases_total", `outcome="released"`, `by="job"`))
	require.Equal(t, 1, a.metric("wakelatch_claims_total", `outcome="claimed"`))
	for _, invariant := range []string{"I1", "I2", "I4", "I5", "I8"} {
		both("wakelatch_invariant_violations", 0, `invariant="`+invariant+`"`)
	}
	c.sweepReleasedNothing(a, b)
}
