package stream_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/stream"
)

func TestCursor(t *testing.T) {
	now := time.Date(2024, 10, 9, 0, 1, 0, 0, time.UTC)
	require.Equal(t, "3", stream.Cursor("", now))
	require.Equal(t, "3", stream.Cursor("2", now))
	require.Equal(t, "3", stream.Cursor("nonsense", now))
	require.Equal(t, "3", stream.Cursor("99999999999999999999", now))
}

func TestCursorNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1728432000, 1<<33).Draw(t, "now"), 0)
		sent := rapid.Int64Range(0, 1<<40).Draw(t, "sent")
		got, err := strconv.ParseInt(stream.Cursor(strconv.FormatInt(sent, 10), now), 10, 64)
		require.NoError(t, err)
		require.Greater(t, got, sent)
		require.GreaterOrEqual(t, got, (now.Unix()-1728432000)/20)
	})
}
