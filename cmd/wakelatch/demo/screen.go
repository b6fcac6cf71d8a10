package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Board is what the screen shows at one moment.
type Board struct {
	Elapsed        time.Duration
	Sent, Handled  int
	Active         int
	Claims         ClaimCounts
	Nodes, Runners []Row
}

// Row is a process.
type Row struct {
	Name  string
	State State
	For   time.Duration // how long it has been so
	PID   int
	Work  string // what it has done so far
}

const (
	plainEvery = 2 * time.Second // between two lines of progress where there is no terminal
	fewRows    = 5               // in a lower window a table is of no use

	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// Screen shows the demo: on a terminal a table that is painted over, elsewhere a line for whatever happens. It may be
// used by many goroutines.
type Screen struct {
	Out io.Writer
	// Size is the terminal's, asked for at each painting; nil means that Out is none.
	Size func() (width, height int)
	// Color is whether to use any.
	Color bool

	mu      sync.Mutex
	painted int // lines of the table that stand above the cursor
	news    []string
	board   Board
	said    time.Duration
}

// News says that something happened, and when.
func (s *Screen) News(elapsed time.Duration, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf("%6.1f s  %s", elapsed.Seconds(), text)
	s.news = append(s.news, line)
	if !s.live() {
		s.say(line)
		return
	}
	s.paint()
}

// Show shows a newer board.
func (s *Screen) Show(b Board) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board = b
	if s.live() {
		s.paint()
		return
	}
	if b.Elapsed-s.said >= plainEvery {
		s.said = b.Elapsed
		s.say(fmt.Sprintf("%6.1f s  messages: %s; claims: %s", b.Elapsed.Seconds(), b.messages(), b.claims()))
	}
}

// Print writes what stays, below the table if there is one.
func (s *Screen) Print(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.painted = 0
	for _, line := range lines {
		s.say(line)
	}
}

func (s *Screen) live() bool {
	if s.Size == nil {
		return false
	}
	_, height := s.Size()
	return height >= fewRows
}

func (s *Screen) say(line string) { _, _ = fmt.Fprintln(s.Out, line) }

// paint writes the table over the last one, each line cut to the window and no more lines than it has.
func (s *Screen) paint() {
	width, height := s.Size()
	lines := s.table(height - 1)
	var b strings.Builder
	if s.painted > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", min(s.painted, height-1))
	}
	b.WriteString("\r\x1b[J")
	for _, line := range lines {
		b.WriteString(s.colored(cut(line, width-1)))
		b.WriteByte('\n')
	}
	s.painted = len(lines)
	_, _ = io.WriteString(s.Out, b.String())
}

// table is the board in lines, the most important first, and as much of the latest news as there is room for.
func (s *Screen) table(room int) []string {
	lines := []string{
		fmt.Sprintf("wakelatch demo %40.1f s", s.board.Elapsed.Seconds()), "",
		"messages   " + s.board.messages(), "claims     " + s.board.claims(), "",
	}
	for _, r := range slices.Concat(s.board.Nodes, s.board.Runners) {
		lines = append(lines, fmt.Sprintf("%-9s  %-8s %3.0f s   pid %-8d %s", r.Name, r.State, r.For.Seconds(), r.PID, r.Work))
	}
	lines = append(lines, "")
	if len(lines) > room {
		return lines[:room]
	}
	news := s.news
	if most := room - len(lines); len(news) > most {
		news = news[len(news)-most:]
	}
	return append(lines, news...)
}

func (b Board) messages() string { return fmt.Sprintf("%d sent, %d handled", b.Sent, b.Handled) }

func (b Board) claims() string {
	return fmt.Sprintf("%d active, %d released, %d expired", b.Active, b.Claims.Released, b.Claims.Expired)
}

// colored marks the states of processes in a line.
func (s *Screen) colored(line string) string {
	if !s.Color {
		return line
	}
	for state, color := range map[State]string{Up: green, Killed: red, Starting: yellow} {
		padded := fmt.Sprintf("  %-8s ", state)
		if before, after, found := strings.Cut(line, padded); found && strings.Contains(after, "pid ") {
			return before + color + padded + reset + after
		}
	}
	return line
}

// cut shortens a line to so many characters.
func cut(line string, width int) string {
	if width < 1 {
		return ""
	}
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width])
}
