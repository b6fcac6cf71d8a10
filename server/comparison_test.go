package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	linked    = regexp.MustCompile(`\[[^\]]+\]\(([^)]+)\)`)
	quoted    = regexp.MustCompile("`([^`]+)`")
	testNamed = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+){2,}$`)
)

// What the comparison says can be looked up: every cell has a source or a command, and what it names of this project
// is there.
func TestTheComparisonClaimsNothingWithoutASource(t *testing.T) {
	text, err := os.ReadFile("../docs/comparison.md")
	require.NoError(t, err)
	stories, err := os.ReadFile("lifecycle/lifecycle_test.go")
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| | Wakelatch") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		require.Len(t, cells, 8, line)
		for _, cell := range cells[1:] {
			if strings.TrimSpace(cell) != "" {
				require.True(t, linked.MatchString(cell) || quoted.MatchString(cell), "%s has neither a source nor a command: %q", cells[0], cell)
			}
		}
		for _, code := range quoted.FindAllStringSubmatch(line, -1) {
			if testNamed.MatchString(code[1]) {
				require.Contains(t, string(stories), `"`+code[1]+`"`, "there is no such test")
			}
		}
	}
	require.Greater(t, rows, 8)
	for _, link := range linked.FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(link[1], "://") {
			file, _, _ := strings.Cut(link[1], "#")
			require.FileExists(t, filepath.Join("../docs", file))
			continue
		}
		require.True(t, strings.HasPrefix(link[1], "https://"), link[1])
	}
}
