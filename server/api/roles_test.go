package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
)

// everybody takes every request for one of the same caller.
type everybody struct {
	api.NoAuth
	api.Identity
}

func (e *everybody) Admit(*http.Request) error                    { return nil }
func (e *everybody) Identify(*http.Request) (api.Identity, error) { return e.Identity, nil }

func TestARouteAsksForItsRole(t *testing.T) {
	for _, tc := range []struct {
		role         api.Role
		method, path string
		refused      bool
	}{
		{api.RoleViewer, "GET", "/_electric/claims/w_1/0", false},
		{"", "GET", "/_electric/claims/w_1/0", true},
		{api.RoleViewer, "POST", "/_electric/entities/demo/one/send", true},
		{api.RoleClient, "POST", "/_electric/entities/demo/one/send", false},
		{api.RoleClient, "POST", "/_electric/runners/r1/heartbeat", true},
		{api.RoleRunner, "POST", "/_electric/runners/r1/heartbeat", false},
		{api.RoleViewer, "POST", "/_electric/entities/demo/one/tags/a", true},
		{api.RoleViewer, "PUT", "/v1/stream/a", true},
		{api.RoleViewer, "POST", "/v1/stream/a", true},
		{api.RoleViewer, "DELETE", "/v1/stream/a", true},
	} {
		s := serve(t, func(o *api.Options) {
			o.Auth = &everybody{Identity: api.Identity{Tenant: "a", Principal: api.Principal{Kind: "user", ID: "alice"}, Role: tc.role}}
		})
		// What is not refused goes on to bad input: [] is no object.
		got := s.do(tc.method, tc.path, `[]`)
		require.Equal(t, tc.refused, got.status == http.StatusForbidden, "%s %s as %q: %s", tc.method, tc.path, tc.role, got.body)
		if tc.refused {
			require.Equal(t, "FORBIDDEN", got.failure(t).Code)
			require.Contains(t, got.failure(t).Message, "role")
		}
	}
}
