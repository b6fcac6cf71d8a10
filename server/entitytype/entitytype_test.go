package entitytype_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const tenant = "default"

func newService(t *testing.T) *entitytype.Service {
	t.Helper()
	return entitytype.New(dbtest.New(t).Pool, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func register(t *testing.T, s *entitytype.Service, r entitytype.RegisterRequest) (entitytype.Type, bool) {
	t.Helper()
	registered, created, err := s.Register(t.Context(), r)
	require.NoError(t, err)
	return registered, created
}

func TestRegisterRecordsAType(t *testing.T) {
	s := newService(t)
	before := time.Now().Add(-time.Minute)
	registered, created := register(t, s, entitytype.RegisterRequest{
		Tenant: tenant, Name: "demo", Description: "shows how",
		CreationSchema:        json.RawMessage(`{"type":"object"}`),
		InboxSchemas:          json.RawMessage(` null `),
		DefaultDispatchPolicy: json.RawMessage(`{"targets":[{"type":"runner","runnerId":"r1"}]}`),
	})
	require.True(t, created)
	require.True(t, registered.CreatedAt.After(before))

	got, err := s.Get(t.Context(), tenant, "demo")
	require.NoError(t, err)
	require.Equal(t, registered, got)
	encoded, err := json.Marshal(got)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(encoded, &fields))
	delete(fields, "created_at")
	delete(fields, "updated_at")
	require.Equal(t, map[string]any{
		"name": "demo", "description": "shows how", "creation_schema": map[string]any{"type": "object"},
		"inbox_schemas": nil, "state_schemas": nil, "revision": 1.0,
		"default_dispatch_policy": map[string]any{"targets": []any{map[string]any{"type": "runner", "runnerId": "r1"}}},
	}, fields)

	runnerID, err := entitytype.ParsePolicy(got.DefaultDispatchPolicy)
	require.NoError(t, err)
	require.Equal(t, "r1", runnerID)
}

func TestRegisteringAgainReplaces(t *testing.T) {
	s := newService(t)
	first, _ := register(t, s, entitytype.RegisterRequest{
		Tenant: tenant, Name: "demo", Description: "old", StateSchemas: json.RawMessage(`{"a":{}}`),
	})
	second, created := register(t, s, entitytype.RegisterRequest{Tenant: tenant, Name: "demo", Description: "new"})
	require.False(t, created)
	require.Equal(t, "new", second.Description)
	require.Nil(t, second.StateSchemas)
	require.EqualValues(t, 2, second.Revision)
	require.Equal(t, first.CreatedAt, second.CreatedAt)

	_, created = register(t, s, entitytype.RegisterRequest{Tenant: "other", Name: "demo"})
	require.True(t, created, "a name is taken in one tenant only")
}

func TestListIsPagedByName(t *testing.T) {
	s := newService(t)
	for _, name := range []string{"c", "a", "b"} {
		register(t, s, entitytype.RegisterRequest{Tenant: tenant, Name: name})
	}
	register(t, s, entitytype.RegisterRequest{Tenant: "other", Name: "d"})
	for _, page := range []struct {
		after string
		limit int
		names []string
		more  bool
	}{
		{"", 2, []string{"a", "b"}, true},
		{"b", 2, []string{"c"}, false},
		{"", 0, []string{"a", "b", "c"}, false},
		{"", 1 << 40, []string{"a", "b", "c"}, false},
		{"c", 0, nil, false},
	} {
		types, more, err := s.List(t.Context(), tenant, page.after, page.limit)
		require.NoError(t, err)
		var names []string
		for _, found := range types {
			names = append(names, found.Name)
		}
		require.Equal(t, page.names, names)
		require.Equal(t, page.more, more)
	}
	_, _, err := s.List(t.Context(), tenant, "a\x00", 0)
	requireInvalid(t, err, "after")
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	s := newService(t)
	for _, name := range []string{"demo", "a\x00b", ""} {
		_, err := s.Get(t.Context(), tenant, name)
		require.ErrorIs(t, err, entitytype.ErrNotFound)
	}
}

func requireInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var invalid *entitytype.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, field, invalid.Field)
	require.Contains(t, err.Error(), field)
}

func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	for _, name := range []string{
		"", "_electric", "v1", "runners", "principal", "healthz", "readyz", "metrics", "console", "V1", "Metrics",
		"a/b", "a b", "a%2Fb", ".", "..", ".hidden", "-x", "_x", "größe", "a\x00", "a\n", strings.Repeat("x", 65),
	} {
		requireInvalid(t, entitytype.CheckName(name), "name")
	}
	for _, name := range []string{"demo", "coding-agent", "v2", "runner", "a.b_c", "0", strings.Repeat("x", 64)} {
		require.NoError(t, entitytype.CheckName(name))
	}
}

func TestRegisterRefusesWhatCannotBeKept(t *testing.T) {
	s := newService(t)
	for _, test := range []struct {
		field  string
		change func(*entitytype.RegisterRequest)
	}{
		{"name", func(r *entitytype.RegisterRequest) { r.Name = "runners" }},
		{"description", func(r *entitytype.RegisterRequest) { r.Description = strings.Repeat("x", 4097) }},
		{"creation_schema", func(r *entitytype.RegisterRequest) { r.CreationSchema = json.RawMessage(`[]`) }},
		{"inbox_schemas", func(r *entitytype.RegisterRequest) { r.InboxSchemas = json.RawMessage(`{"a":`) }},
		{"state_schemas", func(r *entitytype.RegisterRequest) { r.StateSchemas = json.RawMessage(`"text"`) }},
		{"dispatch_policy", func(r *entitytype.RegisterRequest) { r.DefaultDispatchPolicy = json.RawMessage(`{}`) }},
		{"description", func(r *entitytype.RegisterRequest) { r.Description = "a\x00" }},
		{"description", func(r *entitytype.RegisterRequest) { r.Description = "a\xff" }},
	} {
		request := entitytype.RegisterRequest{Tenant: tenant, Name: "demo"}
		test.change(&request)
		_, _, err := s.Register(t.Context(), request)
		requireInvalid(t, err, test.field)
	}
}

func TestParsePolicy(t *testing.T) {
	for raw, want := range map[string]string{
		"": "", "null": "", " null\n": "",
		`{"targets":[{"type":"runner","runnerId":"r1"}]}`:                        "r1",
		`{"targets":[{"type":"runner","runnerId":"r 1","subscription_id":"x"}]}`: "refused",
		`{"targets":[{"type":"runner","runnerId":"a/b"}]}`:                       "refused",
		`{"targets":[{"type":"runner"}]}`:                                        "refused",
		`{"targets":[{"type":"webhook","url":"http://x"}]}`:                      "refused",
		`{"targets":[]}`: "refused",
		`{"targets":[{"type":"runner","runnerId":"a"},{"type":"runner","runnerId":"b"}]}`: "refused",
		`{"targets":[{"type":"runner","runnerId":7}]}`:                                    "refused",
		`{"targets":"r1"}`: "refused",
		`[]`:               "refused",
		`"r1"`:             "refused",
		`{"targets":`:      "refused",
	} {
		runnerID, err := entitytype.ParsePolicy(json.RawMessage(raw))
		if want == "refused" {
			requireInvalid(t, err, "dispatch_policy")
			continue
		}
		require.NoError(t, err, raw)
		require.Equal(t, want, runnerID)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(`{"targets":[{"type":"runner","runnerId":"r1"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		runnerID, err := entitytype.ParsePolicy(raw)
		if err != nil {
			requireInvalid(t, err, "dispatch_policy")
			require.Empty(t, runnerID)
		}
	})
}
