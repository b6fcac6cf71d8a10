package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
)

const transcripts = "testdata/transcripts"

// transcript is what a node and its callers say to each other, as it is written down: every header, bodies one
// field a line, and what differs between two runs replaced by a name that stays the same within the file.
type transcript struct {
	*node
	names *names
	text  strings.Builder
}

// TestTranscripts holds every exchange of the wire contract against its transcript in testdata.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	scripts := map[string]func(*transcript){
		"registration": registration, "messages": messages, "wake": wholeWake, "claim": claiming, "callback": callbacks,
		"append": appending, "tags": tagging, "health": health, "status": statuses, "streams": plainStreams,
		"wake-streams": wakeStreams, "offsets": offsets, "done": dones,
	}
	for name, play := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := &transcript{node: start(t, func(o *server.Options) { o.TokenKeys = [][]byte{secret()} }), names: newNames()}
			play(tr)
			tr.compare(filepath.Join(transcripts, name+".txt"))
		})
	}
	t.Run("no transcript is left over", func(t *testing.T) {
		t.Parallel()
		files, err := os.ReadDir(transcripts)
		require.NoError(t, err)
		for _, file := range files {
			require.Contains(t, scripts, strings.TrimSuffix(file.Name(), ".txt"))
		}
	})
}

// say writes a line that tells the reader what comes.
func (tr *transcript) say(line string) { fmt.Fprintf(&tr.text, "# %s\n\n", line) }

// tell sends a request and writes down both sides.
func (tr *transcript) tell(method, path, body string, header ...string) answer {
	return tr.record(request{method: method, path: path, body: body, header: header})
}

func (tr *transcript) record(r request) answer {
	tr.t.Helper()
	got := tr.send(r)
	fmt.Fprintf(&tr.text, "> %s %s\n", r.method, tr.names.in(r.path))
	for pair := range slices.Chunk(r.header, 2) {
		fmt.Fprintf(&tr.text, "> %s: %s\n", pair[0], tr.names.in(pair[1]))
	}
	tr.body(">", r.body)
	fmt.Fprintf(&tr.text, "\n< %d\n", got.status)
	for _, name := range sortedHeader(got) {
		for _, value := range got.header.Values(name) {
			fmt.Fprintf(&tr.text, "< %s: %s\n", name, tr.names.inHeader(name, value))
		}
	}
	tr.body("<", got.body)
	tr.text.WriteString("\n")
	return got
}

// sortedHeader are the names of an answer's headers but those of HTTP itself, which say nothing about the contract.
func sortedHeader(got answer) []string {
	var out []string
	for name := range got.header {
		if name != "Date" && name != "Content-Length" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// body writes a body: JSON with a field a line, and anything else as it is.
func (tr *transcript) body(side, body string) {
	if body == "" {
		return
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, []byte(body), "", "  ") == nil {
		body = strings.TrimSuffix(pretty.String(), "\n")
	}
	for line := range strings.Lines(tr.names.in(body)) {
		fmt.Fprintf(&tr.text, "%s   %s\n", side, strings.TrimRight(line, "\r\n"))
	}
}

func (tr *transcript) compare(path string) {
	tr.t.Helper()
	got := strings.TrimRight(tr.text.String(), "\n") + "\n"
	if *update {
		require.NoError(tr.t, os.WriteFile(path, []byte(got), 0o644)) //nolint:gosec // a file of the project
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(tr.t, err, "run with -update and read what is new")
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		require.Fail(tr.t, "the wire has changed: run with -update if it should, and read what is new", diff)
	}
}
