package main

import (
	"bytes"
	"fmt"
)

const (
	maxLine    = 1 << 20
	maxLogLine = 16 << 10
)

// lines takes what is written apart at the ends of its lines. Blank lines are dropped.
type lines struct {
	take func(line []byte) error
	most int  // bytes of a line
	cut  bool // a longer line comes in pieces, where it would be a failure otherwise

	rest    []byte
	failure error
}

// Write hands on every line that is whole. After a failure it takes nothing more.
func (l *lines) Write(b []byte) (int, error) {
	if l.failure != nil {
		return 0, l.failure
	}
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			break
		}
		if l.failure = l.hand(line); l.failure != nil {
			return 0, l.failure
		}
		l.rest = rest
	}
	if len(l.rest) <= l.most {
		return len(b), nil
	}
	if l.failure = l.overflow(); l.failure != nil {
		return 0, l.failure
	}
	return len(b), nil
}

// close hands on what the last line is without its end.
func (l *lines) close() error {
	line := l.rest
	l.rest = nil
	return l.hand(line)
}

func (l *lines) hand(line []byte) error {
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return nil
	}
	return l.take(bytes.Clone(line))
}

// overflow is a line that is too long before it has ended.
func (l *lines) overflow() error {
	if l.cut {
		return l.close()
	}
	return fmt.Errorf("a line of the program has more than %d bytes; write several events, or to the stream itself", l.most)
}
