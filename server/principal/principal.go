// Package principal names who acts: a user, a service, the system.
package principal

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Max bounds the short form of a principal, in bytes.
const Max = 256

// Principal is somebody who acts.
type Principal struct{ Kind, ID string }

// ErrMalformed is a text that names no principal.
var ErrMalformed = errors.New("principal must read kind:id, for example user:alice")

// Parse reads the short form, user:alice, or the URL, /principal/user%3Aalice.
func Parse(text string) (Principal, error) {
	short := text
	if rest, ok := strings.CutPrefix(text, "/principal/"); ok {
		decoded, err := url.PathUnescape(rest)
		if err != nil {
			return Principal{}, ErrMalformed
		}
		short = decoded
	}
	kind, id, ok := strings.Cut(short, ":")
	if !ok || kind == "" || id == "" || len(short) > Max || !printable(short) {
		return Principal{}, ErrMalformed
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
