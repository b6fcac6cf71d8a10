package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const tick = 20 * time.Millisecond

func TestEntityFromSpawnToKill(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.prepare()
	made := s.want(201, "PUT", "/_electric/entities/demo/one", `{"tags":{"a":"b"},"args":{"n":1}}`, "Electric-Principal", "/principal/user%3Aalice")
	require.NotEmpty(t, made["txid"])
	require.Equal(t, "/principal/user%3Aalice", made["created_by"])

	got := s.want(200, "GET", "/_electric/entities/demo/one", "")
	delete(made, "txid")
	require.Equal(t, made, got)

	exists := s.wantError(409, "ENTITY_EXISTS", "PUT", "/_electric/entities/demo/one", ``)
	require.Equal(t, got, exists.Details["entity"])

	s.want(200, "POST", "/_electric/entities/demo/one/signal", `{"signal":"SIGKILL","reason":"enough"}`)
	ended := s.wantError(409, "NOT_RUNNING", "POST", "/_electric/entities/demo/one/send", `{"payload":1}`)
	require.Equal(t, map[string]any{"status": "killed"}, ended.Details)
}

func TestSpawnErrors(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.prepare()
	s.wantError(404, "UNKNOWN_ENTITY_TYPE", "PUT", "/_electric/entities/none/one", ``)
	s.wantError(400, "INVALID_REQUEST", "PUT", "/_electric/entities/runners/one", ``)
	s.wantError(400, "INVALID_REQUEST", "PUT", "/_electric/entities/demo/a%2Fb", ``)
	s.wantError(400, "INVALID_REQUEST", "PUT", "/_electric/entities/demo/a%00b", ``)
	s.wantError(400, "INVALID_REQUEST", "PUT", "/_electric/entities/demo/one", `{"tags":{"a":1}}`)
	s.wantError(400, "UNKNOWN_RUNNER", "PUT", "/_electric/entities/demo/one", `{"dispatch_policy":{"targets":[{"type":"runner","runnerId":"r9"}]}}`)
	s.wantError(404, "NOT_FOUND", "GET", "/_electric/entities/demo/one", ``)
}

func TestSendIsIdempotentByKey(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.prepare()
	s.want(201, "PUT", "/_electric/entities/demo/one", ``)
	first := s.want(200, "POST", "/_electric/entities/demo/one/send", `{"payload":{"n":1},"key":"k"}`)
	again := s.want(200, "POST", "/_electric/entities/demo/one/send", `{"payload":{"n":2},"key":"k"}`)
	require.Equal(t, first, again)
	require.Equal(t, 1, strings.Count(s.do("GET", "/demo/one/main?offset=-1", "").body, `"inbox"`))

	s.wantError(404, "NOT_FOUND", "POST", "/_electric/entities/demo/none/send", `{"payload":1}`)
	require.Equal(t, "payload", s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/entities/demo/one/send", `{}`).Details["field"])
	require.Equal(t, "afterMs", s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/entities/demo/one/send", `{"payload":1,"afterMs":-1}`).Details["field"])
	require.Equal(t, "afterMs", s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/entities/demo/one/send", `{"payload":1,"afterMs":2592000001}`).Details["field"])
	require.Equal(t, 204, s.do("POST", "/_electric/entities/demo/one/send", `{"payload":1,"afterMs":2592000000}`).status)
	s.wantError(404, "NOT_FOUND", "POST", "/_electric/entities/demo/none/send", `{"payload":1,"afterMs":5}`)
	require.Equal(t, "mode", s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/entities/demo/one/send", `{"payload":1,"mode":"never"}`).Details["field"])
	require.Equal(t, "signal", s.wantError(400, "INVALID_REQUEST", "POST", "/_electric/entities/demo/one/signal", `{"signal":"SIGHUP"}`).Details["field"])
}

func TestWaitForANewerVersion(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.prepare()
	made := s.want(201, "PUT", "/_electric/entities/demo/one", ``)
	version := int64(made["version"].(float64))
	live := "/_electric/entities/demo/one?live=long-poll&version="

	require.EqualValues(t, version, s.want(200, "GET", live+strconv.FormatInt(version-1, 10), "")["version"], "a newer one is there")
	require.Equal(t, 204, s.do("GET", live+strconv.FormatInt(version, 10), "").status, "none comes in time")
	s.want(200, "POST", "/_electric/entities/demo/one/tags/color", `{"value":"red"}`)
	changed := s.want(200, "GET", live+strconv.FormatInt(version, 10), "")
	require.Equal(t, map[string]any{"color": "red"}, changed["tags"])
	s.wantError(400, "INVALID_REQUEST", "GET", "/_electric/entities/demo/one?live=sse", "")
	s.wantError(400, "INVALID_REQUEST", "GET", live+"x", "")
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.prepare()
	for _, id := range []string{"a", "b", "c"} {
		s.want(201, "PUT", "/_electric/entities/demo/"+id, ``)
		s.want(201, "POST", "/_electric/runners", `{"id":"`+id+`"}`)
		s.want(201, "POST", "/_electric/entity-types", `{"name":"`+id+`"}`)
	}
	for _, tc := range []struct{ path, list, key string }{
		{"/_electric/entities", "entities", "url"},
		{"/_electric/runners", "runners", "id"},
		{"/_electric/entity-types", "entity_types", "name"},
	} {
		var seen []string
		path := tc.path + "?limit=2"
		for {
			page := s.want(200, "GET", path, "")
			for _, item := range page[tc.list].([]any) {
				seen = append(seen, item.(map[string]any)[tc.key].(string))
			}
			after, more := page["next_after"].(string)
			if !more {
				break
			}
			path = tc.path + "?limit=2&after=" + after
		}
		require.IsIncreasing(t, seen)
		require.GreaterOrEqual(t, len(seen), 3)
		s.wantError(400, "INVALID_REQUEST", "GET", tc.path+"?limit=-1", "")
		s.wantError(400, "INVALID_REQUEST", "GET", tc.path+"?limit=many", "")
	}
	require.Len(t, s.want(200, "GET", "/_electric/entities?type=demo&status=idle", "")["entities"], 3)
	require.Empty(t, s.want(200, "GET", "/_electric/entities?status=killed", "")["entities"])
}

func TestTagsNeedTheWriterOrAClient(t *testing.T) {
	t.Parallel()
	s := node(t)
	c := s.claim()
	writeToken := s.want(200, "POST", c.callback, `{"wakeId":"`+c.consumer+`"}`, "Electric-Claim-Token", c.token)["writeToken"].(string)
	tag := "/_electric/entities/demo/one/tags/a%2Fb"

	changed := s.want(200, "POST", tag, `{"value":"by the holder"}`, "Electric-Claim-Token", writeToken)
	require.Equal(t, "by the holder", changed["tags"].(map[string]any)["a/b"])
	require.NotEmpty(t, changed["txid"])
	s.want(200, "POST", tag, `{"value":"by a client"}`)
	for _, bad := range []string{"garbage", c.token} {
		said := s.wantError(401, "UNAUTHORIZED", "POST", tag, `{"value":"x"}`, "Electric-Claim-Token", bad)
		require.Contains(t, said.Message, "Invalid write token")
		s.wantError(401, "UNAUTHORIZED", "DELETE", tag, ``, "Authorization", "Bearer "+bad)
	}
	s.wantError(401, "UNAUTHORIZED", "POST", tag, `not JSON`, "Electric-Claim-Token", "garbage")
	s.wantError(400, "INVALID_REQUEST", "POST", tag, `{}`)
	s.wantError(400, "INVALID_REQUEST", "POST", tag, `{"value":7}`)

	s.want(200, "POST", c.callback, `{"done":true}`, "Electric-Claim-Token", c.token)
	s.wantError(401, "UNAUTHORIZED", "POST", tag, `{"value":"after done"}`, "Electric-Claim-Token", writeToken)
	s.want(200, "DELETE", tag, ``)
	require.Equal(t, map[string]any{"a": "b"}, s.want(200, "GET", "/_electric/entities/demo/one", "")["tags"])
}

func TestWhatCanBeSentCanBeStored(t *testing.T) {
	t.Parallel()
	s := node(t)
	s.prepare()
	for i, value := range []string{
		`"\ud83d\ude00"`, `"\\u0000"`, `"\\\u0041"`, `1e308`, `-0.000e-308`, `1E+20`, `123456789012345678901234567890`,
		strings.Repeat("[", 250) + strings.Repeat("]", 250), `{"a":{"a":1,"a":2}}`, `"\"\\/\b\f\n\r\t"`, `"e1e9999"`, "\"\u2028\"", `"\ufffe"`,
		`{"":null}`,
	} {
		body := fmt.Sprintf(`{"args":{"v":%s},"initialMessage":%s}`, value, value)
		s.want(201, "PUT", fmt.Sprintf("/_electric/entities/demo/e%d", i), body)
		s.want(200, "POST", fmt.Sprintf("/_electric/entities/demo/e%d/send", i), fmt.Sprintf(`{"payload":%s}`, value))
	}
}
