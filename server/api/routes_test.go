package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownPathIsNotFoundInTheWireForm(t *testing.T) {
	s := serve(t)
	for _, path := range []string{"/_electric/nothing", "/v1", "/_electric/runners%2Fr1"} {
		got := s.do("GET", path, "")
		require.Equal(t, 404, got.status, path)
		require.Equal(t, "NOT_FOUND", got.failure(t).Code, path)
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
	}
}

func TestDoubledSlashIsNotRedirected(t *testing.T) {
	s := serve(t)
	got := s.do("GET", "//healthz", "")
	require.Equal(t, 404, got.status)
	require.Empty(t, got.header.Get("Location"))
}

func TestWrongMethodNamesTheAllowedOnes(t *testing.T) {
	s := serve(t)
	got := s.do("POST", "/healthz", "")
	require.Equal(t, 405, got.status)
	require.Equal(t, "GET, HEAD", got.header.Get("Allow"))
	require.Equal(t, "METHOD_NOT_ALLOWED", got.failure(t).Code)
}
