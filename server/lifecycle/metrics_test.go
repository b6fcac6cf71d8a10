package lifecycle_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// metric is a count: it sums the samples of a node's metric whose labels contain all of these, such as `by="sweep"`. One that the
// node does not show is not taken for zero.
func (n *node) metric(name string, labels ...string) int {
	n.c.t.Helper()
	sum, shown := n.sample(name, labels...)
	require.True(n.c.t, shown, "there is no metric %s with %v", name, labels)
	return int(sum)
}

// sample is metric that need not be there, as a gauge is not before its first reading.
func (n *node) sample(name string, labels ...string) (sum float64, shown bool) {
	n.c.t.Helper()
	a := n.must(http.StatusOK, "GET", "/metrics", nil)
	lines := bufio.NewScanner(bytes.NewReader(a.body))
	for lines.Scan() {
		sample, number, found := strings.Cut(lines.Text(), " ")
		head, labelled, _ := strings.Cut(sample, "{")
		if !found || head != name || !containsAll(labelled, labels) {
			continue
		}
		v, err := strconv.ParseFloat(number, 64)
		require.NoError(n.c.t, err)
		sum, shown = sum+v, true
	}
	return sum, shown
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// sweepReleasedNothing says that the job path did it alone: nothing was left to the sweep.
func (c *cluster) sweepReleasedNothing(nodes ...*node) {
	c.t.Helper()
	for _, n := range nodes {
		require.Zero(c.t, n.metric("wakelatch_releases_total", `by="sweep"`))
		require.Zero(c.t, n.metric("wakelatch_expiries_total", `outcome="released"`))
	}
}
