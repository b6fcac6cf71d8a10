package lifecycle_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// metric sums the samples of a node's metric whose labels contain all of these, such as `by="sweep"`.
func (n *node) metric(name string, labels ...string) float64 {
	n.c.t.Helper()
	a := n.must(http.StatusOK, "GET", "/metrics", nil)
	var sum float64
	lines := bufio.NewScanner(bytes.NewReader(a.body))
	for lines.Scan() {
		sample, number, found := strings.Cut(lines.Text(), " ")
		head, labelled, _ := strings.Cut(sample, "{")
		if !found || head != name || !containsAll(labelled, labels) {
			continue
		}
		v, err := strconv.ParseFloat(number, 64)
		require.NoError(n.c.t, err)
		sum += v
	}
	return sum
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
