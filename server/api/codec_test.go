package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrongBodiesAreRefusedByField(t *testing.T) {
	s := serve(t)
	for _, tc := range []struct{ name, body, field, says string }{
		{"wrong type", `{"id":7}`, "id", "id must be a string, not number"},
		{"wrong type inside", `{"id":"r","sandbox_profiles":[{"name":1}]}`, "sandbox_profiles.name", "must be a string"},
		{"an array", `[]`, "body", "body must be an object, not array"},
		{"null", `null`, "body", "body must be a JSON object"},
		{"text", `"x"`, "body", "body must be an object, not string"},
		{"broken", `{"id":`, "body", "body is not JSON"},
		{"two values", `{} {}`, "body", "body is not JSON"},
		{"NUL as an escape", `{"id":"a\u0000b"}`, "body", "must not contain NUL"},
		{"NUL as a byte", "{\"id\":\"a\x00b\"}", "body", "must not contain NUL"},
		{"escaped backslash before u0000", `{"id":"\\u0000","label":7}`, "label", "label must be a string"},
		{"half a pair", `{"label":"\ud800"}`, "body", "surrogate"},
		{"the other half", `{"label":"\udc00"}`, "body", "surrogate"},
		{"half a pair and text", `{"label":"\ud83dx"}`, "body", "surrogate"},
		{"half a pair and another escape", `{"label":"\ud83d\n"}`, "body", "surrogate"},
		{"a whole pair", `{"label":"\ud83d\ude00","id":7}`, "id", "id must be a string"},
		{"not UTF-8", "{\"id\":\"\xff\"}", "body", "is not UTF-8"},
		{"too deep", `{"id":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`, "body", "nested too deeply"},
		{"a number beyond all", `{"id":1e400000}`, "body", "exponent"},
		{"brackets in a string", `{"label":"` + strings.Repeat("[", 300) + `","id":7}`, "id", "id must be a string"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := s.do("POST", "/_electric/runners", tc.body)
			require.Equal(t, 400, got.status, got.body)
			said := got.failure(t)
			require.Equal(t, "INVALID_REQUEST", said.Code)
			require.Contains(t, said.Message, tc.says)
			require.Equal(t, tc.field, said.Details["field"])
		})
	}
}
