package stream_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/stream"
)

const end stream.Offset = 123

// render is what a reader gets of one append.
func render(t *testing.T, body string) string {
	t.Helper()
	m, err := stream.JSONMessages([]byte(body))
	require.NoError(t, err)
	return string(page(m).Render())
}

func page(m stream.Message) *stream.Page {
	return &stream.Page{
		Info:    stream.Info{ContentType: "application/json"},
		Appends: []stream.Append{{End: end, Body: m.Body, Marks: m.Marks}},
	}
}

func TestJSONMessages(t *testing.T) {
	const at = `"offset":"0000000000000123",`
	for name, c := range map[string]struct{ body, want string }{
		"one value":                   {`{"a":1}`, `[{"a":1}]`},
		"scalar":                      {` true `, `[true]`},
		"array is flattened once":     {`[1, [2,3] ,"x"]`, `[1,[2,3],"x"]`},
		"array in array":              {`[[[1,2]]]`, `[[[1,2]]]`},
		"no items":                    {` [ ] `, `[]`},
		"numbers keep their bytes":    {`[1.0,1e400,123456789012345678901234567890,-0,0.1E+2]`, `[1.0,1e400,123456789012345678901234567890,-0,0.1E+2]`},
		"space inside an item stays":  {"{ \"a\" :\t1 }", "[{ \"a\" :\t1 }]"},
		"operation":                   {`{"headers":{"operation":"insert"}}`, `[{"headers":{` + at + `"operation":"insert"}}]`},
		"control":                     {`{"headers":{"control":"up-to-date"},"z":1}`, `[{"headers":{` + at + `"control":"up-to-date"},"z":1}]`},
		"space before the operation":  {`{"headers": { "operation":"insert"}}`, `[{"headers": {` + at + ` "operation":"insert"}}]`},
		"two items":                   {`[{"headers":{"operation":"a"}},{"headers":{"x":1,"operation":"b"}}]`, `[{"headers":{` + at + `"operation":"a"}},{"headers":{` + at + `"x":1,"operation":"b"}}]`},
		"other headers":               {`{"headers":{"x":1}}`, `[{"headers":{"x":1}}]`},
		"empty headers":               {`{"headers":{}}`, `[{"headers":{}}]`},
		"headers that are no object":  {`[{"headers":"operation"},{"headers":["operation"]},{"headers":null}]`, `[{"headers":"operation"},{"headers":["operation"]},{"headers":null}]`},
		"headers deeper down":         {`{"value":{"headers":{"operation":"x","offset":"y"}}}`, `[{"value":{"headers":{"operation":"x","offset":"y"}}}]`},
		"headers of an array's item":  {`[[{"headers":{"operation":"x"}}]]`, `[[{"headers":{"operation":"x"}}]]`},
		"operation deeper down":       {`{"headers":{"x":{"operation":1,"offset":2}}}`, `[{"headers":{"x":{"operation":1,"offset":2}}}]`},
		"a value that says operation": {`{"headers":{"x":"operation"}}`, `[{"headers":{"x":"operation"}}]`},
		"sent offset first":           {`{"headers":{"offset":"9","operation":"a"}}`, `[{"headers":{` + at + `"operation":"a"}}]`},
		"sent offset last":            {`{"headers":{"operation":"a" , "offset":{"x":[1]}}}`, `[{"headers":{` + at + `"operation":"a"}}]`},
		"sent offset between":         {`{"headers":{"a":1,"offset":9,"operation":"b"}}`, `[{"headers":{` + at + `"a":1,"operation":"b"}}]`},
		"sent offset twice":           {`{"headers":{"offset":1,"operation":"b","offset":2}}`, `[{"headers":{` + at + `"operation":"b"}}]`},
		"sent offset alone":           {`{"headers":{"offset":"9"}}`, `[{"headers":{}}]`},
		"sent offset escaped":         {`{"headers":{"\u006fffset":"9","operation":"a"}}`, `[{"headers":{` + at + `"operation":"a"}}]`},
		"headers escaped":             {`{"he\u0061ders":{"operati\u006fn":"a"}}`, `[{"he\u0061ders":{` + at + `"operati\u006fn":"a"}}]`},
		"headers twice":               {`{"headers":{"operation":"a"},"headers":{"offset":"9","operation":"b"}}`, `[{"headers":{` + at + `"operation":"a"},"headers":{` + at + `"operation":"b"}}]`},
		"a key that only ends alike":  {`{"xheaders":{"operation":"a"}}`, `[{"xheaders":{"operation":"a"}}]`},
		"text that looks like JSON":   {`{"s":"\"headers\":{\"operation\":1}","t":"\\"}`, `[{"s":"\"headers\":{\"operation\":1}","t":"\\"}]`},
		"unicode":                     {`["é\ud83d\ude00\u0000"]`, `["é\ud83d\ude00\u0000"]`},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, render(t, c.body)) })
	}
}

func TestJSONMessagesSizeCountsItems(t *testing.T) {
	m, err := stream.JSONMessages([]byte(`[ {"a":1} , 22 ]`))
	require.NoError(t, err)
	require.Equal(t, 2, m.Items)
	require.EqualValues(t, len(`{"a":1}`)+1+len(`22`)+1, m.Size())

	none, err := stream.JSONMessages([]byte(`[]`))
	require.NoError(t, err)
	require.Zero(t, none.Size())
	require.EqualValues(t, 3, stream.PlainMessage([]byte("abc")).Size())
}

func TestJSONMessagesRefuses(t *testing.T) {
	deep := strings.Repeat("[", stream.MaxDepth+1)
	for _, body := range []string{
		"", " ", "{", "[", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "01", "1.", ".5", "+1", "-", "1e", "0x1",
		"tru", "nul", "NaN", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "\"\\", "1 2", "{} {}", "[1]x", "\xff", "\"\xff\"", "//x", "\ufeff1",
		`{"headers":{"operation":}}`, `{"headers":{"offset":"1",}}`, `{"headers":{`, deep + strings.Repeat("]", len(deep)), strings.Repeat(`{"a":`, 1_000_000),
	} {
		_, err := stream.JSONMessages([]byte(body))
		var invalid *stream.InvalidError
		require.ErrorAs(t, err, &invalid, "%.40q", body)
		require.Equal(t, "body", invalid.Field)
	}
	_, err := stream.JSONMessages([]byte(deep[1:] + strings.Repeat("]", len(deep)-1)))
	require.NoError(t, err, "nests as deep as is allowed")
}

func FuzzJSONMessages(f *testing.F) {
	for _, seed := range []string{
		`{"headers":{"operation":"a","offset":"1"}}`, `[{"headers":{"control":1}},2]`, `[[1],{"headers":{}}]`, `{"headers":{"offset":1,"offset":2}}`,
		`{"\u0068eaders":{"x":1,"operation":null}}`, `[1e400,-0.0]`, `"\ud800"`, `[]`, ` [ {} , [] ] `, `{"headers":{"operation":1},"headers":3}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := stream.JSONMessages(body)
		if err != nil {
			return
		}
		require.True(t, json.Valid(body), "what is accepted is JSON")
		rendered := page(m).Render()
		require.True(t, json.Valid(rendered), "what is read is JSON: %s", rendered)
		got, want := items(t, rendered), items(t, bytes.TrimLeft(body, " \t\r\n"))
		require.Len(t, got, m.Items)
		require.Len(t, want, m.Items)
		for i := range want {
			require.Equal(t, expected(t, want[i]), expected(t, got[i]), "but for its offset an item is as it was sent")
			requireOffset(t, got[i])
		}
	})
}

func items(t *testing.T, body []byte) []json.RawMessage {
	t.Helper()
	if body[0] != '[' {
		return []json.RawMessage{body}
	}
	var out []json.RawMessage
	require.NoError(t, json.Unmarshal(body, &out))
	return out
}

// expected is an item's value without headers.offset, as a reader sees it for whom the last of equal keys counts.
func expected(t *testing.T, item json.RawMessage) string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(item))
	decoder.UseNumber()
	var v any
	require.NoError(t, decoder.Decode(&v))
	if o, ok := v.(map[string]any); ok {
		if h, ok := o["headers"].(map[string]any); ok {
			delete(h, "offset")
		}
	}
	return fmt.Sprintf("%#v", v)
}

func requireOffset(t *testing.T, item json.RawMessage) {
	t.Helper()
	var fields map[string]json.RawMessage
	if json.Unmarshal(item, &fields) != nil {
		return
	}
	var headers map[string]json.RawMessage
	if json.Unmarshal(fields["headers"], &headers) != nil || headers == nil {
		return
	}
	_, operation := headers["operation"]
	_, control := headers["control"]
	if operation || control {
		require.Equal(t, `"`+end.String()+`"`, string(headers["offset"]))
	} else {
		require.NotContains(t, headers, "offset")
	}
}

func BenchmarkJSONMessages(b *testing.B) {
	body := []byte(`[{"type":"inbox","key":"msg-1","value":{"from":"/principal/user%3Aalice","payload":{"text":"hello there"},"timestamp":"2026-01-01T00:00:00Z"},"headers":{"txid":"12","operation":"insert"}}]`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := stream.JSONMessages(body); err != nil {
			b.Fatal(err)
		}
	}
}
