package api_test

import (
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
)

func TestNoAuthTakesOnlyItsOwnNames(t *testing.T) {
	public, err := url.Parse("https://agents.example.com")
	require.NoError(t, err)
	for _, tc := range []struct {
		name         string
		listen       string
		host, origin string
		code         string
	}{
		{name: "loopback name", listen: "127.0.0.1:8080", host: "localhost:8080"},
		{name: "loopback name below localhost", listen: "127.0.0.1:8080", host: "app.localhost"},
		{name: "loopback number", listen: "127.0.0.1:8080", host: "127.0.0.9:1"},
		{name: "loopback in IPv6", listen: "127.0.0.1:8080", host: "[::1]:8080"},
		{name: "IPv6 without a port", listen: "127.0.0.1:8080", host: "[::1]"},
		{name: "listen address", listen: "10.0.0.7:8080", host: "10.0.0.7:8080"},
		{name: "public URL", listen: "127.0.0.1:8080", host: "Agents.Example.com."},
		{name: "any number on every address", listen: "0.0.0.0:8080", host: "192.168.1.2:8080"},
		{name: "any number on every address, short form", listen: ":8080", host: "192.168.1.2:8080"},
		{name: "own origin", listen: "127.0.0.1:8080", host: "localhost:8080", origin: "http://localhost:8080"},
		{name: "own origin by a number", listen: "0.0.0.0:8080", host: "192.168.1.2:8080", origin: "http://192.168.1.2:8080"},
		{name: "origin of the public URL", listen: "0.0.0.0:8080", host: "192.168.1.2:8080", origin: "https://agents.example.com"},
		{name: "foreign number as origin on every address", listen: "0.0.0.0:8080", host: "192.168.1.2:8080", origin: "http://203.0.113.5", code: "FOREIGN_ORIGIN"},
		{name: "foreign number", listen: "127.0.0.1:8080", host: "192.168.1.2:8080", code: "FOREIGN_HOST"},
		{name: "foreign name", listen: "127.0.0.1:8080", host: "evil.example", code: "FOREIGN_HOST"},
		{name: "foreign name on every address", listen: ":8080", host: "evil.example", code: "FOREIGN_HOST"},
		{name: "a name that only begins like ours", listen: "127.0.0.1:8080", host: "localhost.evil.example", code: "FOREIGN_HOST"},
		{name: "a name that only ends like ours", listen: "127.0.0.1:8080", host: "evillocalhost", code: "FOREIGN_HOST"},
		{name: "no name", listen: ":8080", host: "", code: "FOREIGN_HOST"},
		{name: "foreign origin", listen: "127.0.0.1:8080", host: "localhost", origin: "https://evil.example", code: "FOREIGN_ORIGIN"},
		{name: "opaque origin", listen: "127.0.0.1:8080", host: "localhost", origin: "null", code: "FOREIGN_ORIGIN"},
		{name: "origin that is no URL", listen: "127.0.0.1:8080", host: "localhost", origin: "http://[", code: "FOREIGN_ORIGIN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
			r.Host = tc.host
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			err := api.NewNoAuth(tc.listen, public).Admit(r)
			if tc.code == "" {
				require.NoError(t, err)
				return
			}
			var forbidden *api.ForbiddenError
			require.ErrorAs(t, err, &forbidden)
			require.Equal(t, tc.code, forbidden.Code)
		})
	}
}

func TestForeignPageIsRefusedEverywhereButAtHealth(t *testing.T) {
	s := serve(t)
	for _, path := range []string{"/_electric/runners", "/_electric/wake-callbacks/w_1", "/nowhere/at/all", "/v1/stream/x"} {
		got := s.do("POST", path, "{}", "Origin", "https://evil.example")
		require.Equal(t, 403, got.status, path)
		require.Equal(t, "FOREIGN_ORIGIN", got.failure(t).Code)
	}
	require.Equal(t, 200, s.do("GET", "/healthz", "", "Host", "node-1").status)
	require.Equal(t, 200, s.do("GET", "/metrics", "", "Host", "node-1").status)
}

func TestNoAuthBelievesThePrincipalHeader(t *testing.T) {
	none := api.NewNoAuth("127.0.0.1:8080", nil)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)

	who, err := none.Identify(r)
	require.NoError(t, err)
	require.Equal(t, api.Identity{
		Tenant: "default", Role: api.RoleAdmin,
		Principal: api.Principal{Kind: "system", ID: "dev-local"},
	}, who)
	require.True(t, who.Allows(api.RoleClient))

	r.Header.Set("Electric-Principal", "user:alice")
	who, err = none.Identify(r)
	require.NoError(t, err)
	require.Equal(t, "/principal/user%3Aalice", who.Principal.URL())

	r.Header.Set("Electric-Principal", "alice")
	_, err = none.Identify(r)
	var wrong *api.InvalidError
	require.ErrorAs(t, err, &wrong)
}

func TestPrincipalReadsBothForms(t *testing.T) {
	for text, want := range map[string]string{
		"user:alice":                  "user:alice",
		"/principal/user%3Aalice":     "user:alice",
		"/principal/user:alice":       "user:alice",
		"service:a:b":                 "service:a:b",
		"/principal/user%3Aal%20i(1)": "user:al i(1)",
	} {
		p, err := api.ParsePrincipal(text)
		require.NoError(t, err, text)
		require.Equal(t, want, p.Key())
		again, err := api.ParsePrincipal(p.URL())
		require.NoError(t, err)
		require.Equal(t, p, again)
	}
	require.Equal(t, "/principal/user%3Aal%20i(1)", api.Principal{Kind: "user", ID: "al i(1)"}.URL())
	for _, text := range []string{"", "alice", ":alice", "user:", "user:a\x00b", "/principal/user%3", "user:\xff"} {
		_, err := api.ParsePrincipal(text)
		require.Error(t, err, "%q", text)
	}
}
