package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// table prints rows under a head, in columns. What is longer than a column may be loses its middle; ids that
// somebody would copy are given room.
func (o *operator) table(head string, rows [][]string) {
	w := tabwriter.NewWriter(o.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.ReplaceAll(head, " ", "\t"))
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
}

// width is what output for people fits in.
const width = 120

// fields prints names and values below each other; values that are "" are left out. A long value goes on in the
// next line, but for a command, which somebody copies.
func (o *operator) fields(pairs ...string) {
	longest := 0
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			longest = max(longest, utf8.RuneCountInString(pairs[i]))
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := pairs[i], pairs[i+1]
		if value == "" {
			continue
		}
		for _, line := range wrapped(value, width-longest-4) {
			o.print("  %-*s  %s", longest, name, line)
			name = ""
		}
	}
}

// wrapped is a text in lines of at most n characters, broken at spaces. A command is one line.
func wrapped(text string, n int) []string {
	if strings.HasPrefix(text, "wakelatch ") {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > n:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// short is a text of at most n characters.
func short(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	runes := []rune(text)
	head := (n - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(n-1-head):])
}

// oneLine is a text that was written by anybody, without what would break a table or a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// when is a time as people and other programs' logs tell it.
func when(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z") + " (" + relative(*t, now) + ")"
}

// ago is the relative part of when; nothing is "-".
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return relative(*t, now)
}

func relative(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d <= -500*time.Millisecond:
		return "in " + span(-d)
	case d < 500*time.Millisecond:
		return "now"
	default:
		return span(d) + " ago"
	}
}

// span is a duration in at most two units.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	const day = 24 * time.Hour
	two := func(big int64, bigUnit string, small int64, smallUnit string) string {
		if small == 0 {
			return fmt.Sprintf("%d%s", big, bigUnit)
		}
		return fmt.Sprintf("%d%s%d%s", big, bigUnit, small, smallUnit)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int64(d/time.Second))
	case d < time.Hour:
		return two(int64(d/time.Minute), "m", int64(d%time.Minute/time.Second), "s")
	case d < day:
		return two(int64(d/time.Hour), "h", int64(d%time.Hour/time.Minute), "m")
	}
	return two(int64(d/day), "d", int64(d%day/time.Hour), "h")
}
