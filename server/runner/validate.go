package runner

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what a registration may hold, in bytes.
const (
	MaxID    = 128
	MaxLabel = 256
	maxOwner = 512
)

const maxQuoted = 64

// CheckID refuses an id that could not stand in a URL as one segment, unescaped: the id is part of the
// path of the runner's wake stream.
func CheckID(id string) error {
	var why string
	switch {
	case id == "":
		why = "it is empty"
	case len(id) > MaxID:
		why = "it is longer than 128 bytes"
	case !utf8.ValidString(id):
		why = "it is not UTF-8"
	case id == "." || id == "..":
		why = "it is a relative path"
	case strings.ContainsAny(id, `/\%?#`):
		why = `it contains one of / \ % ? #`
	case strings.ContainsFunc(id, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		why = "it contains a space or a control character"
	default:
		return nil
	}
	return invalid("id", id, why)
}

func checkText(field, value string, limit int) error {
	switch {
	case len(value) > limit:
		return invalid(field, value, "it is too long")
	case !utf8.ValidString(value):
		return invalid(field, "", "it is not UTF-8")
	case strings.ContainsFunc(value, unicode.IsControl):
		return invalid(field, value, "it contains a control character")
	}
	return nil
}

// position reads what a read of a stream answers as its next offset, and -1 for its start. "" is 0.
func position(offset string) (int64, error) {
	if offset == "" || offset == "-1" {
		return 0, nil
	}
	if strings.TrimLeft(offset, "0123456789") == "" && len(offset) <= 20 {
		if n, err := strconv.ParseInt(offset, 10, 64); err == nil {
			return n, nil
		}
		return math.MaxInt64, nil
	}
	return 0, invalid("wake_stream_offset", offset, "send an offset that a read of the wake stream returned, or -1")
}

func invalid(field, value, why string) error {
	if len(value) > maxQuoted {
		value = strings.ToValidUTF8(value[:maxQuoted], "") + "…"
	}
	return &InvalidError{Field: field, Value: value, Why: why}
}
