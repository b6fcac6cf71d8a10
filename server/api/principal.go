package api

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

const maxPrincipal = 256

// Principal is somebody who acts: a user, a service, the system.
type Principal struct{ Kind, ID string }

// ParsePrincipal reads the short form, user:alice, or the URL, /principal/user%3Aalice.
func ParsePrincipal(text string) (Principal, error) {
	short := text
	if rest, ok := strings.CutPrefix(text, "/principal/"); ok {
		decoded, err := url.PathUnescape(rest)
		if err != nil {
			return Principal{}, invalid("principal", "is not valid percent-encoding")
		}
		short = decoded
	}
	kind, id, ok := strings.Cut(short, ":")
	if !ok || kind == "" || id == "" || len(short) > maxPrincipal || !printable(short) {
		return Principal{}, invalid("principal", "must read kind:id, for example user:alice")
	}
	return Principal{Kind: kind, ID: id}, nil
}

// Key is the short form.
func (p Principal) Key() string { return p.Kind + ":" + p.ID }

// URL is the form that the wire uses, escaped as a browser's encodeURIComponent does.
func (p Principal) URL() string {
	unescaped := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")
	return "/principal/" + unescaped.Replace(url.QueryEscape(p.Key()))
}

// printable says whether the text is UTF-8 without control characters.
func printable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, c := range text {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
