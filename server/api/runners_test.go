package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunnerFromRegistrationToHealth(t *testing.T) {
	t.Parallel()
	s := node(t)
	made := s.want(201, "POST", "/_electric/runners",
		`{"id":"r1","owner_principal":"user:alice","label":"mine","sandbox_profiles":[{"name":"p","label":"P"}]}`)
	require.Equal(t, "/principal/user%3Aalice", made["owner_principal"])
	require.Equal(t, "/runners/r1/wake", made["wake_stream"])
	require.Nil(t, made["wake_stream_offset"])
	found := s.want(200, "GET", "/_electric/runners/r1", "")
	require.Equal(t, made, found)

	beat := s.want(200, "POST", "/_electric/runners/r1/heartbeat",
		`{"lease_ms":60000,"wake_stream_offset":"0000000000000007","diagnostics":{"running":true,"secret":"x"}}`)
	require.Equal(t, "online", beat["liveness"])
	again := s.want(201, "POST", "/_electric/runners", `{"id":"r1","owner_principal":"/principal/user%3Aalice"}`)
	require.Equal(t, "0000000000000000", again["wake_stream_offset"], "a restarted runner resumes, but not beyond the tail")

	health := s.want(200, "GET", "/_electric/runners/r1/health", "")
	require.Equal(t, "healthy", health["health"].(map[string]any)["status"])

	require.Equal(t, "disabled", s.want(200, "POST", "/_electric/runners/r1/disable", "")["admin_status"])
	s.want(503, "GET", "/runners/r1/wake?offset=-1", "")
	require.Equal(t, "enabled", s.want(200, "POST", "/_electric/runners/r1/enable", "")["admin_status"])
	s.want(200, "GET", "/runners/r1/wake?offset=-1", "")
	require.Len(t, s.want(200, "GET", "/_electric/runners?owner_principal=user:alice", "")["runners"], 1)
	require.Empty(t, s.want(200, "GET", "/_electric/runners?owner_principal=user:bob", "")["runners"])
}

func TestRunnerErrors(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.want(201, "POST", "/_electric/runners", `{"id":"r1"}`)
	s.wantError(403, "FORBIDDEN", "POST", "/_electric/runners", `{"id":"r1","owner_principal":"user:bob"}`)
	s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/runners", `{"id":"a/b"}`)
	require.Equal(t, "owner_principal", s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/runners", `{"id":"r2","owner_principal":"bob"}`).Details["field"])
	for _, call := range [][2]string{
		{"GET", "/_electric/runners/none"},
		{"GET", "/_electric/runners/none/health"},
		{"POST", "/_electric/runners/none/heartbeat"},
		{"POST", "/_electric/runners/none/enable"},
		{"GET", "/_electric/entity-types/none"},
	} {
		s.wantError(404, "NOT_FOUND", call[0], call[1], "")
	}
	require.Equal(t, "lease_ms", s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/runners/r1/heartbeat", `{"lease_ms":9223372036854775807}`).Details["field"])
}

func TestEntityTypeIsUpdatedByRegisteringAgain(t *testing.T) {
	t.Parallel()
	s := node(t)
	made := s.want(201, "POST", "/_electric/entity-types", `{"name":"demo","description":"one"}`)
	require.EqualValues(t, 1, made["revision"])
	again := s.want(200, "POST", "/_electric/entity-types", `{"name":"demo","description":"two"}`)
	require.EqualValues(t, 2, again["revision"])
	require.Equal(t, "two", s.want(200, "GET", "/_electric/entity-types/demo", "")["description"])
	for _, name := range []string{"_electric", "v1", "runners", "principal", "healthz", "readyz", "metrics", "console"} {
		s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/entity-types", `{"name":"`+name+`"}`)
	}
}

func TestAReaderOfWakesIsNeverSent4xx(t *testing.T) {
	s := node(t)
	s.want(201, "POST", "/_electric/runners", `{"id":"r1"}`)
	for name, request := range map[string][]string{
		"unknown runner":   {"/runners/none/wake?offset=-1"},
		"foreign host":     {"/runners/r1/wake?offset=-1", "Host", "evil.example"},
		"foreign origin":   {"/runners/r1/wake?offset=-1", "Origin", "http://evil.example"},
		"wrong principal":  {"/runners/r1/wake?offset=-1", "Electric-Principal", "nobody"},
		"wrong offset":     {"/runners/r1/wake?offset=seven"},
		"other mount":      {"/v1/stream/runners/none/wake?offset=-1"},
		"other spelling":   {"/%72unners/none/w%61ke?offset=-1"},
		"unsupported live": {"/runners/r1/wake?offset=-1&live=carrier-pigeon"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.do("GET", request[0], "", request[1:]...)
			require.Equal(t, 503, got.status, got.body)
			require.Equal(t, "5", got.header.Get("Retry-After"))
		})
	}
}
