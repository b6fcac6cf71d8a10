package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is generated into the files")

func TestREADMEHasTheTableOfSettings(t *testing.T) {
	const path, begin, end = "../../README.md", "-update writes this table -->\n\n", "<!-- end of settings -->"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found, "%s has no place for the table", path)
	written, after, found := strings.Cut(rest, end)
	require.True(t, found, "%s has no end of the table", path)
	if *update {
		written = settingsTable()
		require.NoError(t, os.WriteFile(path, []byte(before+begin+written+end+after), 0o600)) //nolint:gosec // the path is this file's own
	}
	require.Equal(t, settingsTable(), written, "write it with: go test ./cmd/wakelatch -run TestREADME -update")
}

func TestTableHasEverySettingOfANodeOnce(t *testing.T) {
	rows := map[string]int{}
	for line := range strings.Lines(settingsTable()) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "| `--"), "`")
		name, _, _ = strings.Cut(name, " ")
		rows[name]++
	}
	for _, s := range settings() {
		if s.in&forNodes != 0 {
			require.Equal(t, 1, rows[s.name], s.name)
		}
	}
}
