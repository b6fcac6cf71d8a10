package demo_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/cmd/wakelatch/demo"
)

func board(seconds int) demo.Board {
	return demo.Board{
		Elapsed: time.Duration(seconds) * time.Second, Sent: 9, Handled: 7, Active: 2, Claims: demo.ClaimCounts{Released: 5},
		Nodes: []demo.Row{
			{Name: "node-1", State: demo.Killed, PID: 41, Work: "12 answers"}, {Name: "node-2", State: demo.Up, PID: 42, Work: "13 answers"},
		},
		Runners: []demo.Row{{Name: "runner-1", State: demo.Up, PID: 43, Work: "3 wakes"}},
	}
}

func TestWithoutATerminalEverythingIsALine(t *testing.T) {
	var out bytes.Buffer
	s := &demo.Screen{Out: &out, Color: true}
	s.News(time.Second, "killed node-1")
	for second := range 5 {
		s.Show(board(second))
	}
	s.Print("OK")
	require.Equal(t, strings.Join([]string{
		"   1.0 s  killed node-1",
		"   2.0 s  messages: 9 sent, 7 handled; claims: 2 active, 5 released, 0 expired",
		"   4.0 s  messages: 9 sent, 7 handled; claims: 2 active, 5 released, 0 expired",
		"OK", "",
	}, "\n"), out.String())
}

// painted is what stands in a window after some output: each painting begins with a move to its own first line.
func painted(t *testing.T, out string, height int) []string {
	t.Helper()
	window := []string{""}
	for out != "" {
		switch {
		case strings.HasPrefix(out, "\x1b[J"):
			out = out[len("\x1b[J"):]
		case strings.HasPrefix(out, "\x1b["):
			count, rest, found := strings.Cut(out[len("\x1b["):], "A")
			require.True(t, found)
			up := 0
			for _, digit := range count {
				up = 10*up + int(digit-'0')
			}
			require.Less(t, up, height, "the first line has left the window")
			require.Less(t, up, len(window))
			window, out = append(window[:len(window)-1-up], ""), rest
		case out[0] == '\n':
			window, out = append(window, ""), out[1:]
		case out[0] == '\r':
			out = out[1:]
		default:
			window[len(window)-1] += out[:1]
			out = out[1:]
		}
	}
	return window
}

func TestATableIsPaintedOver(t *testing.T) {
	var out bytes.Buffer
	s := &demo.Screen{Out: &out, Size: func() (width, height int) { return 60, 12 }}
	for second := range 4 {
		s.News(time.Duration(second)*time.Second, "news of second "+string(rune('0'+second)))
		s.Show(board(second))
	}
	require.NotContains(t, out.String(), "\x1b[3", "color")
	window := painted(t, out.String(), 12)
	require.Len(t, window, 12)
	require.Regexp(t, `^wakelatch demo +3.0 s$`, window[0])
	require.Equal(t, "messages   9 sent, 7 handled", window[2])
	require.Equal(t, "node-1     killed     0 s   pid 41       12 answers", window[5])
	require.Equal(t, "   2.0 s  news of second 2", window[9], "the latest news is kept")
	require.Equal(t, "   3.0 s  news of second 3", window[10])

	s.Print("OK")
	require.Equal(t, "OK", painted(t, out.String(), 12)[11], "the verdict stands below the table")
}

func TestATableFitsItsWindow(t *testing.T) {
	var out bytes.Buffer
	s := &demo.Screen{Out: &out, Size: func() (width, height int) { return 20, 6 }}
	s.News(0, "something that is too long for this window")
	s.Show(board(1))
	window := painted(t, out.String(), 6)
	require.Len(t, window, 6)
	for _, line := range window {
		require.Less(t, len(line), 20)
	}
}

func TestALowWindowHasLines(t *testing.T) {
	var out bytes.Buffer
	s := &demo.Screen{Out: &out, Size: func() (width, height int) { return 80, 2 }}
	s.Show(board(3))
	require.NotContains(t, out.String(), "\x1b")
	require.Contains(t, out.String(), "7 handled")
}

func TestStatesHaveColors(t *testing.T) {
	var out bytes.Buffer
	s := &demo.Screen{Out: &out, Color: true, Size: func() (width, height int) { return 80, 24 }}
	s.Show(board(1))
	require.Regexp(t, `node-1 .*\x1b\[31m +killed +\x1b\[0m.*pid 41`, out.String())
	require.Regexp(t, `node-2 .*\x1b\[32m +up +\x1b\[0m.*pid 42`, out.String())
}
