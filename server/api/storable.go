package api

import (
	"strconv"
	"unicode/utf8"
)

const (
	containsNUL   = "must not contain NUL"
	loneSurrogate = "has half of a surrogate pair in a string"

	maxDepth = 256
	// The largest double has this exponent. A number's zeros are written out by jsonb.
	maxExponent = 308
)

// storable says why a JSON text could be valid and yet not be kept: Postgres' jsonb takes no NUL, no
// half of a surrogate pair, no number beyond its numeric type, and no bottomless nesting. "" means it can
// be kept, if it is JSON at all.
func storable(text []byte) string {
	if !utf8.Valid(text) {
		return "is not UTF-8"
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case 0:
			return containsNUL
		case '"':
			end, why := storableString(text, i+1)
			if why != "" {
				return why
			}
			i = end
		case '{', '[':
			if depth++; depth > maxDepth {
				return "is nested too deeply (" + strconv.Itoa(maxDepth) + " levels are taken)"
			}
		case '}', ']':
			depth--
		case 'e', 'E':
			if exponent(text[i+1:]) > maxExponent {
				return "has a number with an exponent beyond " + strconv.Itoa(maxExponent)
			}
		}
	}
	return ""
}

// exponent is the size of the number that the text begins with, its sign left out; none is 0.
func exponent(text []byte) int {
	if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
		text = text[1:]
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > maxExponent {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// storableString checks a string from behind its opening quote and returns where its closing one is.
func storableString(text []byte, i int) (end int, why string) {
	expectLow := false
	for i < len(text) {
		c := text[i]
		if c != '\\' || i+1 >= len(text) {
			if expectLow {
				return i, loneSurrogate
			}
			if c == '"' {
				return i, ""
			}
			if c == 0 {
				return i, containsNUL
			}
			i++
			continue
		}
		if text[i+1] != 'u' || i+6 > len(text) {
			if expectLow {
				return i, loneSurrogate
			}
			i += 2
			continue
		}
		code, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		if err != nil {
			i += 2
			continue
		}
		low := 0xDC00 <= code && code <= 0xDFFF
		switch {
		case code == 0:
			return i, containsNUL
		case low != expectLow:
			return i, loneSurrogate
		}
		expectLow = 0xD800 <= code && code <= 0xDBFF
		i += 6
	}
	return i, ""
}
