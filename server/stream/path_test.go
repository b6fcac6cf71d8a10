package stream_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/stream"
)

func TestParsePathHasOneNameForEverySpelling(t *testing.T) {
	for _, spelling := range []string{
		"demo/one/main", "demo%2Fone%2Fmain", "demo%2fone/main", "%64emo/one/main", "demo/one/mai%6E", "%64%65%6D%6F/%6f%6e%65/%6d%61%69%6e",
	} {
		path, err := stream.ParsePath(spelling)
		require.NoError(t, err, spelling)
		require.Equal(t, stream.Path("demo/one/main"), path)
		require.Equal(t, stream.Main, path.Kind())
	}
}

func TestParsePathRefuses(t *testing.T) {
	for _, spelling := range []string{
		"", "/", "/demo", "demo/", "demo//main", "demo/./main", "demo/../main", "..", "demo/%2e%2e/main", "demo/%2E/main",
		"demo%2F%2Fmain", "demo/one/main/", "demo/one%00/main", "demo/one%0a/main", "demo%252Fone%252Fmain", "demo/one/mai%256E",
		"demo%5Cone/main", "demo/%zz/main", "demo/%f", "demo/%ff/main", strings.Repeat("a", stream.MaxPath+1),
	} {
		_, err := stream.ParsePath(spelling)
		var invalid *stream.InvalidError
		require.ErrorAs(t, err, &invalid, spelling)
		require.Equal(t, "path", invalid.Field)
	}
}

func TestKindOfPath(t *testing.T) {
	for path, want := range map[stream.Path]stream.Kind{
		"notes": stream.Plain, "a/b": stream.Plain, "a/b/c": stream.Plain, "a/b/c/main": stream.Plain, "a/main": stream.Plain,
		"demo/one/main": stream.Main, "demo/main/main": stream.Main, "demo/one/Main": stream.Plain,
		"runners/r1/wake": stream.Wake, "runners/r1/main": stream.Main, "runners/wake": stream.Plain, "runners/a/b/wake": stream.Plain,
	} {
		require.Equal(t, want, path.Kind(), path)
	}
	require.Equal(t, "r1", stream.Path("runners/r1/wake").RunnerID())
	require.Empty(t, stream.Path("demo/one/main").RunnerID())
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"demo/one/main", "demo%2Fone%2Fmain", "demo/%2e%2e/main", "a%25b", "runners/r/wake", "%E2%82%AC"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		path, err := stream.ParsePath(escaped)
		if err != nil {
			return
		}
		require.NotContains(t, "/"+string(path)+"/", "//")
		require.NotContains(t, "/"+string(path)+"/", "/../")
		require.LessOrEqual(t, len(path), stream.MaxPath)
		if !strings.Contains(string(path), "%") {
			again, err := stream.ParsePath(string(path))
			require.NoError(t, err)
			require.Equal(t, path, again, "decoding again changes nothing")
		}
	})
}
