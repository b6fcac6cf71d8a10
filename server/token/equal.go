package token

import "encoding/binary"

// equal compares two tokens in a time that depends on their lengths only. It
// reads words, because a byte at a time would be most of the cost of a check.
func equal(a []byte, b string) bool {
	n := len(a)
	if n != len(b) {
		return false
	}
	var diff uint64
	if n < 8 {
		for i := range n {
			diff |= uint64(a[i] ^ b[i])
		}
		return diff == 0
	}
	// The last word overlaps the one before it, so there is no tail.
	diff = binary.LittleEndian.Uint64(a[n-8:]) ^ word(b[n-8:])
	for len(a) > 8 && len(b) > 8 {
		diff |= binary.LittleEndian.Uint64(a) ^ word(b)
		a, b = a[8:], b[8:]
	}
	return diff == 0
}

// word is one load: the compiler merges the eight. Converting a string to bytes
// to read it would allocate.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
