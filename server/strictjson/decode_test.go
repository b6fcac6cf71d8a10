package strictjson_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wakelatch/wakelatch/server/strictjson"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type item struct {
	Path string `json:"path"`
}

type outer struct {
	ID    string          `json:"id"`
	Epoch *int64          `json:"epoch"`
	Items []item          `json:"items"`
	One   *item           `json:"one"`
	Raw   json.RawMessage `json:"raw"`
	Tags  []string        `json:"tags"`
	Own   string
	Not   string `json:"-"`
}

func TestNamesAreExact(t *testing.T) {
	for text, want := range map[string]outer{
		`{"id":"a"}`:                                                 {ID: "a"},
		`{"ID":"a","Id":"b","id":"c","iD":"d"}`:                      {ID: "c"},
		`{"items":[{"path":"p"},{"PATH":"q"}]}`:                      {Items: []item{{Path: "p"}, {}}},
		`{"one":{"Path":"p"}}`:                                       {One: &item{}},
		`{"one":null,"items":null,"epoch":null}`:                     {},
		"\t{\"id\" : \"a\" , \"x\" : {\"id\":\"b\",\"id\":\"c\"}}\n": {ID: "a"},
		`{"raw":{"ID":1,"ID":2}}`:                                    {Raw: json.RawMessage(`{"ID":1,"ID":2}`)},
		`{"\u0069d":"a"}`:                                            {ID: "a"},
		`{"own":"a","Own":"b","-":"c","Not":"d"}`:                    {},
		`{"tags":["a","a"]}`:                                         {Tags: []string{"a", "a"}},
		`{"epoch":9223372036854775807}`:                              {Epoch: new(int64(9223372036854775807))},
		`{}`:                                                         {},
	} {
		var got outer
		require.NoError(t, strictjson.Unmarshal([]byte(text), &got), text)
		require.Equal(t, want, got, text)
	}
}

func TestAKnownFieldIsGivenOnce(t *testing.T) {
	for text, field := range map[string]string{
		`{"id":"a","id":"a"}`:                     "id",
		`{"id":"a","\u0069d":"b"}`:                "id",
		`{"items":[{},{"path":"a","path":"b"}]}`:  "items.path",
		`{"one":{"path":"a","path":1}}`:           "one.path",
		`{"id":null,"x":1,"id":{"not":"a text"}}`: "id",
	} {
		var got outer
		var twice *strictjson.DuplicateError
		require.ErrorAs(t, strictjson.Unmarshal([]byte(text), &got), &twice, text)
		require.Equal(t, field, twice.Field)
	}
}

func TestErrorsAreTheStandardOnes(t *testing.T) {
	for _, text := range []string{``, `{"id":`, `{"id":"a"} x`, `{"id":"a","id":"b"`, `[`, `{"items":[{]}`, `{1:2}`, `{"items":[{"path":"a"},]}`} {
		var got outer
		var syntax, standard *json.SyntaxError
		require.ErrorAs(t, strictjson.Unmarshal([]byte(text), &got), &syntax, text)
		require.ErrorAs(t, json.Unmarshal([]byte(text), &outer{}), &standard) //nolint:musttag // a field without a name on the wire is part of what is tested
		require.Equal(t, standard, syntax, text)
	}
	for text, field := range map[string]string{`{"id":7}`: "id", `[]`: "", `"x"`: "", `{"items":[{"path":{}}]}`: "items.path", `{"one":[]}`: "one", `{"items":{"path":"a"}}`: "items"} {
		var got outer
		var wrong *json.UnmarshalTypeError
		require.ErrorAs(t, strictjson.Unmarshal([]byte(text), &got), &wrong, text)
		require.Equal(t, field, wrong.Field, text)
	}
}

func FuzzAgreesWithTheStandardDecoder(f *testing.F) {
	for _, text := range []string{`{"id":"a","items":[{"path":"p"}],"raw":[1,{"a":2}]}`, `{"ID":"a"}`, `[]`, `{"id":"a","id":"b"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var strict, standard outer
		err, other := strictjson.Unmarshal(text, &strict), json.Unmarshal(text, &standard) //nolint:musttag // a field without a name on the wire is part of what is tested
		if _, twice := errors.AsType[*strictjson.DuplicateError](err); twice {
			return
		}
		if other == nil {
			require.NoError(t, err, "what the standard decoder takes is taken, or is a duplicate")
		}
		var syntax *json.SyntaxError
		require.Equal(t, errors.As(other, &syntax), errors.As(err, &syntax))
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	text := []byte(`{"payload":{"text":"hello","list":[1,2,3]},"key":"msg-1","mode":"immediate"}`)
	var into struct {
		Payload json.RawMessage `json:"payload"`
		Key     string          `json:"key"`
		Mode    string          `json:"mode"`
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := strictjson.Unmarshal(text, &into); err != nil {
			b.Fatal(err)
		}
	}
}
