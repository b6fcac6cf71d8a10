package token

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
)

// Kind tells the two tokens of a claim apart.
type Kind byte

// The kinds of token. The zero Kind is none.
const (
	// ClaimToken goes on callbacks: confirm, heartbeat, done. A callback names
	// no stream, so a claim token is signed and verified with an empty one.
	ClaimToken Kind = 'c'
	// WriteToken goes on appends and tag writes. It is bound to the stream's
	// path without a leading slash, as in demo/one/main.
	WriteToken Kind = 'w'
)

// String is the kind's name for logs.
func (k Kind) String() string {
	switch k {
	case ClaimToken:
		return "claim token"
	case WriteToken:
		return "write token"
	}
	return "no kind of token"
}

// Claim is what a token stands for.
type Claim struct {
	Tenant   string
	Stream   string
	Consumer string
	Epoch    int64
}

// Parsed is what anybody can read in a token. Nothing in it is proven until
// [Keyring.Verify] says so.
type Parsed struct {
	Kind     Kind
	Tenant   string
	Consumer string
	Epoch    int64

	mac [macSize]byte
}

// MaxLen bounds the text of a token. Parse refuses a longer one unread.
const MaxLen = 2048

// A token reads wl<kind>.<tenant>.<consumer>.<epoch>.<mac>. Each field keeps
// letters, digits, '-' and '_' and writes every other byte as ~XX, so the text
// is URL-safe and its dots are unambiguous.
const (
	prefix     = "wl"
	escapeByte = '~'
	upperHex   = "0123456789ABCDEF"
	macSize    = 32
	macText    = 43
)

// strictMAC is strict, so that one MAC has exactly one text. It is immutable.
var strictMAC = base64.RawURLEncoding.Strict()

// Parse reads a token without proving anything. A text that Parse accepts is
// the only text of its fields. It allocates only for escaped fields.
func Parse(tok string) (Parsed, error) {
	p, ok := parse(tok)
	if !ok {
		return Parsed{}, refused(Malformed)
	}
	return p, nil
}

func parse(tok string) (p Parsed, ok bool) {
	if len(tok) > MaxLen || len(tok) < len(prefix)+2 || tok[:len(prefix)] != prefix {
		return p, false
	}
	p.Kind = Kind(tok[len(prefix)])
	if p.Kind != ClaimToken && p.Kind != WriteToken {
		return p, false
	}
	rest := tok[len(prefix)+1:]
	if rest[0] != '.' {
		return p, false
	}
	tenant, rest, ok1 := strings.Cut(rest[1:], ".")
	consumer, rest, ok2 := strings.Cut(rest, ".")
	epoch, mac, ok3 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || !ok3 || len(mac) != macText {
		return p, false
	}
	if p.Tenant, ok = unescape(tenant); !ok {
		return p, false
	}
	if p.Consumer, ok = unescape(consumer); !ok {
		return p, false
	}
	if p.Epoch, ok = parseEpoch(epoch); !ok {
		return p, false
	}
	var text [macText]byte
	copy(text[:], mac)
	n, err := strictMAC.Decode(p.mac[:], text[:])
	return p, err == nil && n == macSize
}

func render(kind Kind, tenant, consumer string, epoch int64, mac []byte) string {
	b := make([]byte, 0, len(prefix)+len(tenant)+len(consumer)+macText+32)
	b = append(b, prefix...)
	b = append(b, byte(kind), '.')
	b = appendEscaped(b, tenant)
	b = append(b, '.')
	b = appendEscaped(b, consumer)
	b = append(b, '.')
	b = strconv.AppendInt(b, epoch, 10)
	b = append(b, '.')
	b = strictMAC.AppendEncode(b, mac)
	return string(b)
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if plain(c) {
			b = append(b, c)
			continue
		}
		b = append(b, escapeByte, upperHex[c>>4], upperHex[c&15])
	}
	return b
}

// unescape reverses appendEscaped and accepts nothing else: no empty field, no
// lower-case escape, no escape of a byte that needs none.
func unescape(s string) (string, bool) {
	if s == "" {
		return "", false
	}
	escaped := false
	for i := 0; i < len(s); i++ {
		if plain(s[i]) {
			continue
		}
		if s[i] != escapeByte || i+2 >= len(s) {
			return "", false
		}
		if c, ok := fromHex(s[i+1], s[i+2]); !ok || plain(c) {
			return "", false
		}
		escaped = true
		i += 2
	}
	if !escaped {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != escapeByte {
			b = append(b, s[i])
			continue
		}
		c, _ := fromHex(s[i+1], s[i+2])
		b = append(b, c)
		i += 2
	}
	return string(b), true
}

func fromHex(hi, lo byte) (c byte, ok bool) {
	for _, digit := range [...]byte{hi, lo} {
		switch {
		case '0' <= digit && digit <= '9':
			c = c<<4 | (digit - '0')
		case 'A' <= digit && digit <= 'F':
			c = c<<4 | (digit - 'A' + 10)
		default:
			return 0, false
		}
	}
	return c, true
}

// parseEpoch takes a decimal without sign or leading zero.
func parseEpoch(s string) (int64, bool) {
	if s == "" || len(s) > 19 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	if n > math.MaxInt64 {
		return 0, false
	}
	return int64(n), true
}
