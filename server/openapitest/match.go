package openapitest

import (
	"net/url"
	"strings"
)

func split(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

// match says whether the segments, still escaped, are of this path. A stream's own path may be escaped in whole or in
// part, slashes included; then it is decoded before it is compared.
func (t template) match(segments []string) (map[string]string, bool) {
	if values, ok := t.matchSegments(segments); ok {
		return values, true
	}
	if !t.ownStream() {
		return nil, false
	}
	decoded, err := url.PathUnescape(strings.Join(segments, "/"))
	if err != nil {
		return nil, false
	}
	return t.matchSegments(strings.Split(decoded, "/"))
}

// ownStream says whether the path is one under which a stream is found beside /v1/stream.
func (t template) ownStream() bool {
	return t.text == "/{type}/{id}/main" || t.text == "/runners/{id}/wake"
}

func (t template) matchSegments(segments []string) (map[string]string, bool) {
	if len(segments) < len(t.segments) || len(segments) > len(t.segments) && !wholeRest[t.text] {
		return nil, false
	}
	values := map[string]string{}
	for i, want := range t.segments {
		got := segments[i]
		if i == len(t.segments)-1 && wholeRest[t.text] {
			got = strings.Join(segments[i:], "/")
		}
		name, variable := strings.CutPrefix(want, "{")
		switch {
		case !variable && got != want, variable && got == "":
			return nil, false
		case variable:
			if decoded, err := url.PathUnescape(got); err == nil {
				got = decoded
			}
			values[strings.TrimSuffix(name, "}")] = got
		}
	}
	// What belongs to a route of its own is nobody's stream.
	return values, t.text != "/{type}/{id}/main" || segments[0] != "_electric" && segments[0] != "v1"
}
