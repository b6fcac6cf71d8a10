package wire_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
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
	w := newWorld(t)
	if *update {
		w.writeTable()
	}
	rows := readTable(t)
	for _, g := range groups() {
		for _, c := range g.cases {
			want, found := rows[c.name]
			require.True(t, found, "%q is not in the table of docs/api.md: add its row, or run with -update and read what is new", c.name)
			delete(rows, c.name)
			t.Run(c.name, func(t *testing.T) {
				before := w.snapshot()
				got := w.send(c.build(w))
				require.True(t, refused(got), "it is not refused, but answered %d: %s", got.status, got.body)
				require.Equal(t, want, w.rowOf(got), got.body)
				requireNoInternals(t, got)
				require.Equal(t, before, w.snapshot(), "what is refused changes nothing")
			})
		}
	}
	require.Empty(t, rows, "the table has rows that no request is known for")
}

// refused says whether an answer gives nothing of what was asked for: a claim may also be told that there is nothing for it.
func refused(got answer) bool {
	return got.status >= http.StatusBadRequest || got.status == http.StatusNoContent
}

func (w *world) rowOf(got answer) row {
	w.t.Helper()
	said := failureIn(got)
	return row{status: fmt.Sprint(got.status), code: said.Code, message: cell(w.steady(said.Message))}
}

type wireError struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// failureIn is the error in an answer. One that is none has no code: there is nothing to say, or what came is no HTTP and
// no handler saw it.
func failureIn(got answer) wireError {
	var body struct{ Error wireError }
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
		require.NotRegexp(t, internals, strings.Join(values, " "), name)
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

// writeTable replaces the table by what the node answers.
func (w *world) writeTable() {
	w.t.Helper()
	var out strings.Builder
	for _, g := range groups() {
		fmt.Fprintf(&out, "\n### %s\n\n%s", g.title, tableHead)
		for _, c := range g.cases {
			got := w.send(c.build(w))
			require.True(w.t, refused(got), "%s: it is not refused, but answered %d: %s", c.name, got.status, got.body)
			r := w.rowOf(got)
			fmt.Fprintf(&out, "| %s | %s | `%s` | %s |\n", c.name, r.status, r.code, r.message)
		}
	}
	out.WriteString("\n")
	text, err := os.ReadFile(apiDocument)
	require.NoError(w.t, err)
	before, after, found := strings.Cut(string(text), beginTable)
	require.True(w.t, found)
	_, after, found = strings.Cut(after, endTable)
	require.True(w.t, found)
	require.NoError(w.t, os.WriteFile(apiDocument, []byte(before+beginTable+out.String()+endTable+after), 0o644)) //nolint:gosec // a document of the project
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
