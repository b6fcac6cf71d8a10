package dashboards_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

func TestParserFindsSelectorsAndWhatIsAroundThem(t *testing.T) {
	found, err := parse(`sum by (a) (rate(x_total{b="1", c=~"2|3"}[5m])) / on(a) group_left() max without(i) (y) or -abs(z) > bool 2e3`)
	require.NoError(t, err)
	requireFound(t, []selector{
		{
			metric: "x_total", labels: []string{"b", "c"}, ranged: true, callers: []string{"rate", "sum"},
			groups: []grouping{{op: "sum", labels: []string{"a"}}},
		},
		{metric: "y", callers: []string{"max"}, groups: []grouping{{op: "max", without: true, labels: []string{"i"}}}},
		{metric: "z", callers: []string{"abs"}},
	}, found)

	found, err = parse(`sum(max(x offset 1h30m) by (t) + y)`)
	require.NoError(t, err)
	requireFound(t, []selector{
		{metric: "x", callers: []string{"max", "sum"}, groups: []grouping{{op: "max", labels: []string{"t"}}, {op: "sum"}}},
		{metric: "y", callers: []string{"sum"}, groups: []grouping{{op: "sum"}}},
	}, found)

	found, err = parse(`topk(5, sum(x) by (t)) and histogram_quantile(0.99, sum by (le) (rate(h_bucket[5m]))) > 1`)
	require.NoError(t, err)
	require.Len(t, found, 2)
}

func requireFound(t *testing.T, want, found []selector) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, found, cmp.AllowUnexported(selector{}, grouping{}), cmpopts.EquateEmpty()))
}

func TestParserRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, expr := range []string{
		``, `(x`, `x)`, `x +`, `x y`, `sum by x`, `sum by (a b) (x)`, `x{`, `x{a}`, `x{a="1"`, `x{a=1}`, `x[5m]`, `rate(x)`, `rate(x[5])`,
		`rate(x[5m]`, `holt_winters(x)`, `x offset y`, `x # comment`, `x{a="unclosed}`, `$x`, `sum(x) by`, `max("x")`,
	} {
		_, err := parse(expr)
		require.Error(t, err, expr)
	}
}
