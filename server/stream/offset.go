package stream

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
)

// Offset is a position in a stream, counted in bytes from its beginning. The offset of an append is
// where it ends, so a read from an offset returns every append that ends after it, and one more than
// an offset is never the end of another JSON append.
type Offset int64

const (
	// Beginning sorts before every position; its text is "-1".
	Beginning Offset = -1
	// Now stands for wherever the tail is when the read is done; its text is "now". It is no position
	// and is never handed out.
	Now Offset = math.MaxInt64
	// MaxOffset is the last position the text form has room for.
	MaxOffset Offset = 9_999_999_999_999_999
)

const (
	offsetDigits  = 16
	beginningText = "-1"
	nowText       = "now"
)

// ParseOffset reads the text form: "-1", "now", or exactly 16 digits. Whatever it accepts has no other spelling,
// so that texts sort as positions do.
func ParseOffset(text string) (Offset, error) {
	switch text {
	case beginningText:
		return Beginning, nil
	case nowText:
		return Now, nil
	}
	why := `must be "-1", "now" or an offset this server returned, which has 16 digits`
	if len(text) != offsetDigits {
		return 0, &InvalidError{Field: "offset", Value: clip(text), Why: why}
	}
	var n int64
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, &InvalidError{Field: "offset", Value: clip(text), Why: why}
		}
		n = n*10 + int64(c-'0')
	}
	return Offset(n), nil
}

// String is the text form.
func (o Offset) String() string {
	switch {
	case o == Now:
		return nowText
	case o < 0:
		return beginningText
	}
	return string(o.append(make([]byte, 0, offsetDigits)))
}

// Compare orders offsets as their positions, and as their texts, do.
func (o Offset) Compare(other Offset) int { return cmp.Compare(o, other) }

func (o Offset) append(b []byte) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], int64(o), 10)
	for range offsetDigits - len(text) {
		b = append(b, '0')
	}
	return append(b, text...)
}

// position is where in the rows a read begins.
func (o Offset) position() int64 { return max(int64(o), 0) }

// clip bounds what of a caller's value an error repeats.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:most], len(s))
}
