package dashboards_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// fenced is a block of code in a Markdown file: its language and its text.
var fenced = regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")

func TestTheRunbooksSQLRuns(t *testing.T) {
	text, err := os.ReadFile(runbookFile)
	require.NoError(t, err)
	pool := dbtest.New(t).Pool
	ran := 0
	for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
		require.Contains(t, []string{"sql", "sh"}, block[1])
		if block[1] != "sql" {
			continue
		}
		statement := strings.TrimSpace(block[2])
		require.True(t, strings.HasSuffix(statement, ";"), statement)
		_, err := pool.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
		ran++
	}
	require.Greater(t, ran, 7)
}
