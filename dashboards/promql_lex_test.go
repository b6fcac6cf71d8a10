package dashboards_test

import (
	"fmt"
	"regexp"
	"strings"
)

// tokenKind is what a piece of an expression is.
type tokenKind int

const (
	end tokenKind = iota
	identifier
	number
	duration
	quoted
	symbol
)

type token struct {
	kind tokenKind
	text string
	at   int
}

// The longer patterns come first: 5m is a duration before 5 is a number.
var tokenPatterns = []struct {
	kind    tokenKind
	pattern *regexp.Regexp
}{
	{duration, regexp.MustCompile(`^(\d+(ms|[smhdwy]))+`)},
	{number, regexp.MustCompile(`^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?`)},
	{identifier, regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)},
	{quoted, regexp.MustCompile(`^("(\\.|[^"\\])*"|'(\\.|[^'\\])*')`)},
	{symbol, regexp.MustCompile(`^(==|!=|>=|<=|=~|!~|[-+*/%^<>=(){}\[\],])`)},
}

func tokenize(expr string) ([]token, error) {
	var tokens []token
	for at := 0; ; {
		trimmed := strings.TrimLeft(expr[at:], " \t\n")
		at = len(expr) - len(trimmed)
		if trimmed == "" {
			return append(tokens, token{kind: end, at: at}), nil
		}
		found := token{at: at}
		for _, p := range tokenPatterns {
			if found.text = p.pattern.FindString(trimmed); found.text != "" {
				found.kind = p.kind
				break
			}
		}
		if found.text == "" {
			return nil, fmt.Errorf("unexpected %q at %d of %s", trimmed[:1], at, expr)
		}
		tokens = append(tokens, found)
		at += len(found.text)
	}
}
