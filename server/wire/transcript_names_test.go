package wire_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// kind is a kind of value that differs between two runs.
type kind struct {
	name    string
	pattern *regexp.Regexp // its first group is the value
	same    bool           // all its values get one name: they may be equal by chance
}

// names replaces what differs between two runs by names, one a value, so that a reader sees what is equal to what.
// An offset that is one after another has that one's name and a +1.
type names struct {
	kinds []kind
	given map[string]string
	count map[string]int
}

func newNames() *names {
	return &names{
		given: map[string]string{}, count: map[string]int{},
		kinds: []kind{
			{name: "node", pattern: regexp.MustCompile(`http://(127\.0\.0\.1:[0-9]+)`), same: true},
			{name: "claim-token", pattern: regexp.MustCompile(`(wlc[._][A-Za-z0-9_.=-]+)`)},
			{name: "write-token", pattern: regexp.MustCompile(`(wlw[._][A-Za-z0-9_.=-]+)`)},
			{name: "consumer", pattern: regexp.MustCompile(`\b(w_[0-9A-Za-z]{8,})`)},
			{name: "txid", pattern: regexp.MustCompile(`"txid": ?"([^"<]+)"`)},
			{name: "key", pattern: regexp.MustCompile(`"((?:msg|sig|signal)-[^"<]+)"`)},
			{name: "time", pattern: regexp.MustCompile(`"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+))"`), same: true},
			{name: "ms", pattern: regexp.MustCompile(`"(?:ts|lease_remaining_ms)": ?([0-9]+)`), same: true},
			{name: "stream", pattern: regexp.MustCompile(`"([0-9a-z]{10})\.(?:-1|now|[0-9]{16})\.`)},
			{name: "offset", pattern: regexp.MustCompile(`\b(0[0-9]{15})\b`)},
			{name: "seconds", pattern: regexp.MustCompile(`(?:should have been released|lease ended|epoch [0-9]+ for) ([0-9]+) s\b`), same: true},
		},
	}
}

// in is the text with names for what varies.
func (n *names) in(text string) string {
	for _, k := range n.kinds {
		text = n.replace(k, text)
	}
	return text
}

func (n *names) inHeader(name, value string) string {
	switch name {
	case "X-Request-Id":
		return n.name(kind{name: "request"}, value)
	case "Stream-Cursor":
		return n.name(kind{name: "cursor", same: true}, value)
	default:
		return n.in(value)
	}
}

func (n *names) replace(k kind, text string) string {
	var out []byte
	last := 0
	for _, at := range k.pattern.FindAllStringSubmatchIndex(text, -1) {
		out = append(out, text[last:at[2]]...)
		out = append(out, n.name(k, text[at[2]:at[3]])...)
		last = at[3]
	}
	return string(append(out, text[last:]...))
}

func (n *names) name(k kind, value string) string {
	if k.same {
		return "<" + k.name + ">"
	}
	if value == noOffset || value == firstOffset {
		return value
	}
	id := k.name + " " + value
	if _, known := n.given[id]; !known {
		if before, found := n.given[k.name+" "+oneBefore(value)]; found && k.name == "offset" {
			return before + "+1"
		}
		n.count[k.name]++
		n.given[id] = fmt.Sprintf("<%s-%d>", k.name, n.count[k.name])
	}
	return n.given[id]
}

// These two are the same in every run.
const noOffset, firstOffset = "0000000000000000", "0000000000000001"

func oneBefore(offset string) string {
	n, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%016d", n-1)
}

func TestNamesShowWhatIsEqual(t *testing.T) {
	t.Parallel()
	n := newNames()
	require.Equal(t, `"txid":"<txid-1>" "txid":"<txid-2>" "txid":"<txid-1>"`, n.in(`"txid":"8" "txid":"9" "txid":"8"`))
	require.Equal(t, `"<time>" "ts":<ms>`, n.in(`"2026-01-02T03:04:05.678Z" "ts":1700000000000`))
	require.Equal(t, "<offset-1> <offset-1>+1 <offset-2>", n.in("0000000000000122 0000000000000123 0000000000000200"))
	require.Equal(t, "<request-1>", n.inHeader("X-Request-Id", "abc"))
	require.Equal(t, "<request-1>", n.inHeader("X-Request-Id", "abc"))
}
