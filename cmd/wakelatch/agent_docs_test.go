//go:build programs

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// documented is an agent as docs/agents.md shows it, as a program that can be run.
func documented(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/agents.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)<!-- agent: " + regexp.QuoteMeta(name) + ";[^>]*-->\n```[a-z]+\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, block, "docs/agents.md has no %s", name)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, block[1], 0o700)) //nolint:gosec // it is to be run
	return path
}

func TestDocumentedShellAgent(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	p := s.run(documented(t, "agent.sh"))
	s.spawn("one", "hello there")
	s.claims("one", "released")
	require.Equal(t, []string{"you said: hello there"}, s.texts())
	p.says(`line="answering /demo/one"`)
}

func TestDocumentedPythonAgent(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.run(documented(t, "agent.py"))
	s.spawn("one", "three words here")
	s.claims("one", "released")
	_, stream := get(t, s.url+"/demo/one/main?offset=-1")
	require.Contains(t, stream, `{"type":"count","value":{"text":"three words here","words":3}}`)
	_, found := get(t, s.url+"/_electric/entities/demo/one")
	require.Regexp(t, `"tags":\{"words": ?"3"\}`, found)
}
