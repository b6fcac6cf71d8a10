package lifecycle_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// defects are those that the design lists, by a few words of each.
var defects = []string{
	"restart between mint and append", "two servers behind a balancer", "Postgres down during done", "crashed runner",
	"hand-over race", "paused entity", "mint needs no credential", "heartbeats do not extend the lease",
	"token dies after an hour", "done after a first half-finished done",
}

func TestEveryDefectHasItsTest(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/defects.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| D\\d+ \\| ([^|]*) \\| [^|]* \\| `([^`]*)` \\|$").FindAllStringSubmatch(string(page), -1)
	require.Len(t, rows, len(defects), "each defect has one row")
	tests := lifecycles()
	for _, row := range rows {
		require.Contains(t, tests, row[2], "the test of %q does not exist", row[1])
	}
	for _, defect := range defects {
		require.True(t, slices.ContainsFunc(rows, func(row []string) bool { return strings.Contains(row[1], defect) }),
			"docs/defects.md lacks the defect %q", defect)
	}
}
