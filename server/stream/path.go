package stream

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPath bounds a path in bytes, so that a key that leads with it fits an index and a notification.
const MaxPath = 512

// Kind is what a stream is for and so who may write it.
type Kind string

const (
	// Plain streams are their tenant's.
	Plain Kind = "plain"
	// Main is an entity's stream, /{type}/{id}/main: written by the holder of the entity's claim and by the server.
	Main Kind = "main"
	// Wake is a runner's stream, /runners/{id}/wake: written by the server alone.
	Wake Kind = "wake"
)

// Path is a stream's name: canonical, without a leading slash. Every spelling of a stream's URL has one Path, and
// nothing downstream decodes it again.
type Path string

// ParsePath decodes what stands in a URL after the mount point, once, and accepts only what is canonical then: whole
// segments, none of them empty, "." or "..", nothing that a second decoding would change, no control characters.
// An encoded slash is a slash.
func ParsePath(escaped string) (Path, error) {
	decoded, err := url.PathUnescape(escaped)
	if err != nil {
		return "", &InvalidError{Field: "path", Value: clip(escaped), Why: "it is not percent-encoded correctly"}
	}
	path := Path(decoded)
	if why := path.fault(); why != "" {
		return "", &InvalidError{Field: "path", Value: clip(decoded), Why: why}
	}
	return path, nil
}

func (p Path) fault() string {
	s := string(p)
	switch {
	case s == "":
		return "it is empty"
	case len(s) > MaxPath:
		return "it is longer than 512 bytes"
	case !utf8.ValidString(s):
		return "it is not UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "it contains a control character"
	case strings.ContainsRune(s, '\\'):
		return "it contains a backslash"
	case encodedTwice(s):
		return "it is percent-encoded more than once"
	}
	for segment := range strings.SplitSeq(s, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return `its segments must not be empty, "." or ".."`
		}
	}
	return ""
}

func encodedTwice(s string) bool {
	for {
		_, after, found := strings.Cut(s, "%")
		if !found {
			return false
		}
		if len(after) >= 2 && isHex(after[0]) && isHex(after[1]) {
			return true
		}
		s = after
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// Kind is told by the path alone: a stream of another kind never exists at it.
func (p Path) Kind() Kind {
	first, rest, _ := strings.Cut(string(p), "/")
	middle, last, ok := strings.Cut(rest, "/")
	switch {
	case !ok || middle == "" || strings.Contains(last, "/"):
		return Plain
	case first == "runners" && last == "wake":
		return Wake
	case last == "main":
		return Main
	}
	return Plain
}

// RunnerID is the runner that reads the wake stream, "" for any other path.
func (p Path) RunnerID() string {
	if p.Kind() != Wake {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(p), "runners/"), "/wake")
}
