//go:build programs

package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The walk is for a person's shell, so a shell runs it here.
func TestDevPrintsAWalkThatWorks(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "dev", "--data-dir", openDir(t), "--listen", "127.0.0.1:0")
	script := p.says(`(?s)One wake by hand:\n\n(.*)\n\nStop with Ctrl-C`)
	shell := exec.CommandContext(t.Context(), "bash", "-eu")
	shell.Stdin = strings.NewReader(script)
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `"payload":"hello"`, "the input is read")
	require.Contains(t, string(out), "HTTP/1.1 204", "the append is taken")
	require.Contains(t, string(out), `{"ok":true,"next_wake":false}`)
	require.Regexp(t, `"done_outcome":"succeeded"`, string(out))
}
