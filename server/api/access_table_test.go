package api_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
)

// accessRow is a row of the table of docs/api.md that says who may call what.
type accessRow struct {
	route string // METHOD template
	of    string
	opens string // who opens it
	other string // what another tenant's key gets
}

// name tells the rows of a route apart, which are of several kinds of stream.
func (r accessRow) name() string {
	if !strings.Contains(r.route, "{path}") {
		return r.route
	}
	kind, _, _ := strings.Cut(r.of, ";")
	return r.route + " " + kind
}

// readAccessTable reads the table as people see it.
func readAccessTable(t *testing.T) []accessRow {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n| Route | Of | Opened by | Another tenant |\n|---|---|---|---|\n")
	require.True(t, found, "docs/api.md has no table of who may call what")
	var rows []accessRow
	seen := map[string]bool{}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		require.Len(t, cells, 4, line)
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		row := accessRow{route: cells[0], of: cells[1], opens: cells[2], other: cells[3]}
		require.False(t, seen[row.name()], "%s is there twice", row.name())
		seen[row.name()] = true
		rows = append(rows, row)
	}
	return rows
}

func TestEveryRouteIsInTheTableOfAccess(t *testing.T) {
	documented := map[string][]accessRow{}
	for _, row := range readAccessTable(t) {
		documented[row.route] = append(documented[row.route], row)
	}
	for route, need := range api.RouteAccess() {
		rows := documented[route]
		require.NotEmpty(t, rows, "%s has no row in docs/api.md", route)
		for _, row := range rows {
			switch need {
			case "anybody":
				require.Equal(t, need, row.opens, route)
			case "handler":
				require.NotContains(t, []string{"anybody", "admin"}, row.opens, route)
			default:
				least, _, _ := strings.Cut(row.opens, ",")
				require.Equal(t, need, least, route)
			}
		}
		delete(documented, route)
	}
	require.Empty(t, documented, "these are no routes")
}
