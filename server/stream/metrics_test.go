package stream_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/stream"
)

func TestMetricsAreNamedAsTheyShould(t *testing.T) {
	problems, err := testutil.GatherAndLint(open(t).registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestOutcomesAreCounted(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	n.append(text("notes", "x"))
	n.refused(text("absent", "x"), stream.ErrNotFound)
	_, err := n.Append(t.Context(), text("notes", ""))
	require.Error(t, err)
	n.read("notes", 0)
	for outcome, want := range map[string]int{"appended": 1, "not_found": 1, "invalid": 1, "fenced": 0} {
		require.Equal(t, want, n.labelled("wakelatch_appends_total", outcome), outcome)
	}
	require.Equal(t, 1, n.labelled("wakelatch_stream_reads_total", "catch_up"))
}
