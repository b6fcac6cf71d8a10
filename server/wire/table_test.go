package wire_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	apiDocument = "../../docs/api.md"
	beginTable  = "<!-- case table: go test ./server/wire -update -->\n"
	endTable    = "<!-- end of the case table -->\n"
	tableHead   = "| case | status | code | message |\n|---|---|---|---|\n"
)

// row is a line of the table as the document has it.
type row struct{ status, code, message string }

// TestCaseTable executes the table of docs/api.md row by row.
func TestCaseTable(t *testing.T) {
	all := everyCase(t)
	if *update {
		writeTable(t, all)
	}
	rows := readTable(t)
	for _, c := range all {
		want, found := rows[c.name]
		require.True(t, found, "%q is not in the table of docs/api.md: add its row, or run with -update and read what is new", c.name)
		delete(rows, c.name)
		t.Run(c.name, func(t *testing.T) {
			before := c.node.snapshot()
			got := c.node.send(c.request)
			require.True(t, refused(got), "it is not refused, but answered %d: %s", got.status, got.body)
			require.Equal(t, want, c.rowOf(got), got.body)
			requireNoInternals(t, got)
			require.Equal(t, before, c.node.snapshot(), "what is refused changes nothing")
		})
	}
	require.Empty(t, rows, "the table has rows that no request is known for")
}

// executable is a case with the node that it is for.
type executable struct {
	title, name string
	node        *node
	request     request
	steady      func(string) string
}

func everyCase(t *testing.T) []executable {
	t.Helper()
	var all []executable
	w, g := newWorld(t), newGuarded(t)
	for _, part := range groups() {
		for _, c := range part.cases {
			all = append(all, executable{part.title, c.name, w.node, c.build(w), w.steady})
		}
	}
	named := strings.NewReplacer(g.held.Consumer, "<consumer held>").Replace
	for _, c := range guardedCases() {
		all = append(all, executable{guardedTitle, c.name, g.node, c.build(g), named})
	}
	return all
}

// refused says whether an answer gives nothing of what was asked for: a claim may also be told that there is nothing for it.
func refused(got answer) bool {
	return got.status >= http.StatusBadRequest || got.status == http.StatusNoContent
}

func (c executable) rowOf(got answer) row {
	said := failureIn(got)
	return row{status: strconv.Itoa(got.status), code: said.Code, message: cell(c.steady(said.Message))}
}

type wireError struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// failureIn is the error in an answer. One that is none has no code: there is nothing to say, or what came is no HTTP and
// no handler saw it.
func failureIn(got answer) wireError {
	var body struct {
		Error wireError `json:"error"`
	}
	if json.Unmarshal([]byte(got.body), &body) != nil {
		return wireError{Code: "—", Message: cmp.Or(got.body, "—")}
	}
	return body.Error
}

// internals are what an answer must not tell: how the server is made, and what the database said.
var internals = regexp.MustCompile(`(?i)sqlstate|pgx|pgconn|wakelatch\.|select |insert |update .* set|constraint|relation "|` +
	`(?-i:json: )|go value|go struct|strconv|unmarshal|reflect|goroutine|panic|\.go:|failed to|nil pointer|%!|0x[0-9a-f]{6}|main\.`)

func requireNoInternals(t *testing.T, got answer) {
	t.Helper()
	require.NotRegexp(t, internals, got.body)
	for name, values := range got.header {
		if name != "X-Request-Id" { // random letters may spell anything
			require.NotRegexp(t, internals, strings.Join(values, " "), name)
		}
	}
}

// readTable reads the rows between the marks of the document.
func readTable(t *testing.T) map[string]row {
	t.Helper()
	text, err := os.ReadFile(apiDocument)
	require.NoError(t, err)
	_, after, found := strings.Cut(string(text), beginTable)
	require.True(t, found, "docs/api.md has no case table")
	table, _, found := strings.Cut(after, endTable)
	require.True(t, found, "the case table of docs/api.md has no end")
	rows := map[string]row{}
	for line := range strings.Lines(table) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| case |") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
		require.Len(t, cells, 4, line)
		require.NotContains(t, rows, cells[0], "the case is there twice")
		rows[cells[0]] = row{status: cells[1], code: strings.Trim(cells[2], "`"), message: cells[3]}
	}
	return rows
}

// cell is a text as it stands in a cell of a table.
func cell(text string) string {
	text = strings.NewReplacer("|", "¦", "\n", " ", "<", "‹", ">", "›").Replace(text)
	return shorten(text)
}

// writeTable replaces the table by what the nodes answer.
func writeTable(t *testing.T, all []executable) {
	t.Helper()
	var out strings.Builder
	title := ""
	for _, c := range all {
		if c.title != title {
			title = c.title
			fmt.Fprintf(&out, "\n### %s\n\n%s", title, tableHead)
		}
		got := c.node.send(c.request)
		require.True(t, refused(got), "%s: it is not refused, but answered %d: %s", c.name, got.status, got.body)
		r := c.rowOf(got)
		fmt.Fprintf(&out, "| %s | %s | `%s` | %s |\n", c.name, r.status, r.code, r.message)
	}
	out.WriteString("\n")
	text, err := os.ReadFile(apiDocument)
	require.NoError(t, err)
	before, after, found := strings.Cut(string(text), beginTable)
	require.True(t, found)
	_, after, found = strings.Cut(after, endTable)
	require.True(t, found)
	require.NoError(t, os.WriteFile(apiDocument, []byte(before+beginTable+out.String()+endTable+after), 0o644)) //nolint:gosec // a document of the project
}

// shorten writes a long run of one character as two of them and an ellipsis.
func shorten(text string) string {
	var out strings.Builder
	run, last := 0, rune(-1)
	for _, c := range text {
		if c != last {
			run, last = 0, c
		}
		if run++; run == 9 {
			out.WriteRune('…')
		}
		if run < 9 {
			out.WriteRune(c)
		}
	}
	return out.String()
}
