package api

import (
	"strconv"
	"unicode/utf8"
)

const (
	maxDepth = 256
	// maxExponent is that of the largest double. jsonb writes a number's zeros out.
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
		switch c := text[i]; {
		case c == 0:
			return "must not contain NUL"
		case c == '"':
			end, why := storableString(text, i+1)
			if why != "" {
				return why
			}
			i = end
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return "is nested too deeply (" + strconv.Itoa(maxDepth) + " levels are taken)"
			}
		case c == '}' || c == ']':
			depth--
		case c == 'e' || c == 'E':
			digits := i + 1
			if digits < len(text) && (text[digits] == '+' || text[digits] == '-') {
				digits++
			}
			end := digits
			for end < len(text) && '0' <= text[end] && text[end] <= '9' {
				end++
			}
			if end > digits {
				if n, err := strconv.Atoi(string(text[digits:end])); err != nil || n > maxExponent {
					return "has a number with an exponent beyond " + strconv.Itoa(maxExponent)
				}
			}
		}
	}
	return ""
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
				return i, "must not contain NUL"
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
			return i, "must not contain NUL"
		case low != expectLow:
			return i, loneSurrogate
		}
		expectLow = 0xD800 <= code && code <= 0xDBFF
		i += 6
	}
	return i, ""
}

const loneSurrogate = "has half of a surrogate pair in a string"
