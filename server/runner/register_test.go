package runner_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/runner"
)

func TestRegisterAnswersTheRunnerAndMakesItsWakeStream(t *testing.T) {
	f := newFixture(t)
	got, err := f.Register(t.Context(), runner.RegisterRequest{
		Tenant: tenant, ID: "r1", Owner: alice, WakeStream: "/runners/r1/wake",
		SandboxProfiles: []runner.SandboxProfile{{Name: "box", Label: "Box", Remote: true}},
	})
	require.NoError(t, err)
	want := runner.Runner{
		ID: "r1", OwnerPrincipal: alice, Label: "r1", Kind: "local", AdminStatus: runner.Enabled, Liveness: runner.Offline,
		WakeStream: "/runners/r1/wake", SandboxProfiles: []runner.SandboxProfile{{Name: "box", Label: "Box", Remote: true}},
	}
	require.Empty(t, cmp.Diff(want, got, cmpopts.IgnoreUnexported(runner.Runner{}), cmpopts.IgnoreTypes(time.Time{})))

	var kind, contentType string
	require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT kind, content_type FROM wakelatch.streams
		WHERE tenant_id = $1 AND path = 'runners/r1/wake'`, tenant).Scan(&kind, &contentType))
	require.Equal(t, []string{"wake", "application/json"}, []string{kind, contentType})
}

func TestRunnerIsShownInTheWireShape(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	encoded, err := json.Marshal(f.heartbeat())
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(encoded, &fields))
	for _, name := range []string{"created_at", "updated_at", "last_seen_at", "liveness_lease_expires_at"} {
		_, err := time.Parse(time.RFC3339, fields[name].(string))
		require.NoError(t, err, name)
		delete(fields, name)
	}
	require.Empty(t, cmp.Diff(map[string]any{
		"id": "r1", "owner_principal": alice, "label": "one", "kind": "local", "admin_status": "enabled", "liveness": "online",
		"wake_stream": "/runners/r1/wake", "wake_stream_offset": nil, "sandbox_profiles": []any{}, "diagnostics": nil,
	}, fields))
}

func TestRegisteringAgainUpdatesWhatIsGivenAndAnswersTheStoredOffset(t *testing.T) {
	f := newFixture(t)
	first, err := f.Register(t.Context(), runner.RegisterRequest{
		Tenant: tenant, ID: "r1", Owner: alice, Label: "old", Kind: "ci",
		SandboxProfiles: []runner.SandboxProfile{{Name: "box"}},
	})
	require.NoError(t, err)
	f.exec(`UPDATE wakelatch.streams SET tail = 42`)
	_, err = f.Heartbeat(t.Context(), runner.HeartbeatRequest{Tenant: tenant, ID: "r1", WakeStreamOffset: "0000000000000042"})
	require.NoError(t, err)

	second, err := f.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r1", Owner: alice, Label: "new"})
	require.NoError(t, err)
	require.Equal(t, "new", second.Label)
	require.Equal(t, "ci", second.Kind)
	require.Equal(t, "box", second.SandboxProfiles[0].Name)
	require.Equal(t, first.CreatedAt, second.CreatedAt)
	require.Equal(t, "0000000000000042", *second.WakeStreamOffset)
	require.Equal(t, runner.Online, second.Liveness, "registering does not touch the liveness lease")
}

func TestARestartDoesNotUndoAnOperatorsDisable(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	_, err := f.SetAdminStatus(t.Context(), runner.StatusRequest{Tenant: tenant, ID: "r1", Status: runner.Disabled, Actor: "/principal/user%3Aadmin"})
	require.NoError(t, err)
	require.Equal(t, runner.Disabled, f.register("r1").AdminStatus)

	r, err := f.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r1", Owner: alice, AdminStatus: runner.Enabled})
	require.NoError(t, err)
	require.Equal(t, runner.Enabled, r.AdminStatus)
}

func TestNobodyTakesOverAnothersRunner(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	f.entity(tenant, "/demo/one", "r1")
	f.wake(tenant, "/demo/one", "r1")
	_, err := f.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r1", Owner: bob, Label: "mine"})
	require.ErrorIs(t, err, runner.ErrForeign)
	require.Empty(t, f.due(), "the attempt must not touch the owner's wakes")

	r, err := f.Get(t.Context(), tenant, "r1")
	require.NoError(t, err)
	require.Equal(t, []string{alice, "one"}, []string{r.OwnerPrincipal, r.Label})

	_, err = f.Register(t.Context(), runner.RegisterRequest{Tenant: "other", ID: "r1", Owner: bob})
	require.NoError(t, err, "an id is taken in one tenant only")
}

func TestRegisterRefusesWhatCannotBeKept(t *testing.T) {
	f := newFixture(t)
	tests := map[string]struct {
		field  string
		change func(*runner.RegisterRequest)
	}{
		"no id":               {"id", func(r *runner.RegisterRequest) { r.ID = "" }},
		"slash in the id":     {"id", func(r *runner.RegisterRequest) { r.ID = "a/b" }},
		"escape in the id":    {"id", func(r *runner.RegisterRequest) { r.ID = "a%2Fb" }},
		"NUL in the id":       {"id", func(r *runner.RegisterRequest) { r.ID = "a\x00b" }},
		"newline in the id":   {"id", func(r *runner.RegisterRequest) { r.ID = "a\nb" }},
		"id not UTF-8":        {"id", func(r *runner.RegisterRequest) { r.ID = "a\xff" }},
		"dots as id":          {"id", func(r *runner.RegisterRequest) { r.ID = ".." }},
		"long id":             {"id", func(r *runner.RegisterRequest) { r.ID = strings.Repeat("x", runner.MaxID+1) }},
		"no owner":            {"owner_principal", func(r *runner.RegisterRequest) { r.Owner = "" }},
		"NUL in the owner":    {"owner_principal", func(r *runner.RegisterRequest) { r.Owner = "a\x00" }},
		"long label":          {"label", func(r *runner.RegisterRequest) { r.Label = strings.Repeat("x", runner.MaxLabel+1) }},
		"label not UTF-8":     {"label", func(r *runner.RegisterRequest) { r.Label = "\xff" }},
		"unknown kind":        {"kind", func(r *runner.RegisterRequest) { r.Kind = "toaster" }},
		"unknown status":      {"admin_status", func(r *runner.RegisterRequest) { r.AdminStatus = "asleep" }},
		"foreign wake stream": {"wake_stream", func(r *runner.RegisterRequest) { r.WakeStream = "/runners/r2/wake" }},
		"nameless profile":    {"sandbox_profiles", func(r *runner.RegisterRequest) { r.SandboxProfiles = make([]runner.SandboxProfile, 1) }},
		"NUL in a profile":    {"sandbox_profiles", func(r *runner.RegisterRequest) { r.SandboxProfiles = []runner.SandboxProfile{{Name: "\x00"}} }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			request := runner.RegisterRequest{Tenant: tenant, ID: "r1", Owner: alice}
			test.change(&request)
			_, err := f.Register(t.Context(), request)
			var invalid *runner.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, test.field, invalid.Field)
			require.Contains(t, err.Error(), test.field)
		})
	}
	_, err := f.Get(t.Context(), tenant, "r1")
	require.ErrorIs(t, err, runner.ErrNotFound)
	for _, id := range []string{"r1", "user:alice@host.example_1~2", "läufer", strings.Repeat("x", runner.MaxID)} {
		require.NoError(t, runner.CheckID(id))
	}
}

func TestListIsPagedByID(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"r3", "r1", "r2"} {
		f.register(id)
	}
	_, err := f.Register(t.Context(), runner.RegisterRequest{Tenant: tenant, ID: "r4", Owner: bob})
	require.NoError(t, err)
	_, err = f.Register(t.Context(), runner.RegisterRequest{Tenant: "other", ID: "r0", Owner: alice})
	require.NoError(t, err)

	page, more := list(t, f, runner.ListRequest{Tenant: tenant, Limit: 3})
	require.Equal(t, []string{"r1", "r2", "r3"}, page)
	require.True(t, more)
	page, more = list(t, f, runner.ListRequest{Tenant: tenant, Limit: 3, After: "r3"})
	require.Equal(t, []string{"r4"}, page)
	require.False(t, more)
	page, _ = list(t, f, runner.ListRequest{Tenant: tenant, Owner: bob})
	require.Equal(t, []string{"r4"}, page)
	page, more = list(t, f, runner.ListRequest{Tenant: "nobody"})
	require.Empty(t, page)
	require.False(t, more)
}

func list(t *testing.T, f *fixture, r runner.ListRequest) (ids []string, more bool) {
	t.Helper()
	page, more, err := f.List(t.Context(), r)
	require.NoError(t, err)
	for _, r := range page {
		ids = append(ids, r.ID)
	}
	return ids, more
}

func TestWakeAccess(t *testing.T) {
	f := newFixture(t)
	f.register("r1")
	require.NoError(t, f.WakeAccess(t.Context(), tenant, "r1"))
	require.ErrorIs(t, f.WakeAccess(t.Context(), "other", "r1"), runner.ErrNotFound)
	require.ErrorIs(t, f.WakeAccess(t.Context(), tenant, "r2"), runner.ErrNotFound)
	require.ErrorIs(t, f.WakeAccess(t.Context(), tenant, "a\x00"), runner.ErrNotFound)
	_, err := f.SetAdminStatus(t.Context(), runner.StatusRequest{Tenant: tenant, ID: "r1", Status: runner.Disabled, Actor: "/principal/user%3Aadmin"})
	require.NoError(t, err)
	require.ErrorIs(t, f.WakeAccess(t.Context(), tenant, "r1"), runner.ErrDisabled)
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"r1", "a\x00b"} {
		_, err := f.Get(t.Context(), tenant, id)
		require.ErrorIs(t, err, runner.ErrNotFound)
		_, err = f.Heartbeat(t.Context(), runner.HeartbeatRequest{Tenant: tenant, ID: id})
		require.ErrorIs(t, err, runner.ErrNotFound)
		_, err = f.SetAdminStatus(t.Context(), runner.StatusRequest{Tenant: tenant, ID: id, Status: runner.Enabled, Actor: "/principal/user%3Aadmin"})
		require.ErrorIs(t, err, runner.ErrNotFound)
		_, err = f.Health(t.Context(), tenant, id)
		require.ErrorIs(t, err, runner.ErrNotFound)
	}
}
