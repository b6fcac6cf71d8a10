package stream_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/stream"
)

func TestParseOffset(t *testing.T) {
	for text, want := range map[string]stream.Offset{
		"-1": stream.Beginning, "now": stream.Now, "0000000000000000": 0, "0000000000000042": 42, "9999999999999999": stream.MaxOffset,
	} {
		got, err := stream.ParseOffset(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{
		"", "0", "-2", "NOW", "+000000000000001", "000000000000004 ", "00000000000000042", "0000_0000000000", "٠٠٠٠٠٠٠٠", "0x00000000000001",
		"1,2", "../etc/passwd", "000000000000000\x00", "-000000000000001",
	} {
		_, err := stream.ParseOffset(text)
		var invalid *stream.InvalidError
		require.ErrorAs(t, err, &invalid, text)
		require.Equal(t, "offset", invalid.Field)
	}
}

func TestOffsetsSortAsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		position := rapid.Custom(func(t *rapid.T) stream.Offset {
			return stream.Offset(rapid.Int64Range(-1, int64(stream.MaxOffset)).Draw(t, "position"))
		})
		a, b := position.Draw(t, "a"), position.Draw(t, "b")
		require.Equal(t, strings.Compare(a.String(), b.String()), a.Compare(b))
	})
}

func FuzzParseOffset(f *testing.F) {
	for _, seed := range []string{"-1", "now", "0000000000000000", "0000000000000042", "0", "９999999999999999", "00000000000000-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		offset, err := stream.ParseOffset(text)
		if err != nil {
			return
		}
		require.Equal(t, text, offset.String(), "an accepted offset has one spelling")
	})
}
