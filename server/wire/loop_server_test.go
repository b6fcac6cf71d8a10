package wire_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusing is a node in name only: it answers everything with one status and nothing else.
func refusing(t *testing.T, status string) *node {
	t.Helper()
	code, err := strconv.Atoi(status)
	require.NoError(t, err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
	t.Cleanup(s.Close)
	return &node{t: t, url: s.URL, http: s.Client()}
}
