package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"
)

// MinKey is the shortest key a Keyring takes, in bytes.
const MinKey = 32

// Keyring signs and verifies tokens. The first key signs, every key verifies,
// so a key is rotated by appending the new one everywhere, then moving it to
// the front, then dropping the old one after the longest claim. It is safe for
// concurrent use and prints as "redacted" in every format.
type Keyring struct {
	signers []*signer
}

// NewKeyring makes a ring of at least one key of MinKey bytes or more.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("the token keyring is empty: give at least one key")
	}
	k := &Keyring{}
	for i, key := range keys {
		if len(key) < MinKey {
			return nil, fmt.Errorf("token key %d has %d bytes: make it at least %d", i+1, len(key), MinKey)
		}
		k.signers = append(k.signers, newSigner(key))
	}
	return k, nil
}

// Sign makes the token of a claim with the first key. The tenant and the
// consumer must not be empty. The stream is empty for a [ClaimToken].
//
// A token must not leave the process before its claim is committed: whoever
// presents one is taken to name a claim that Postgres knows.
func (k *Keyring) Sign(kind Kind, c Claim) string {
	m := k.signers[0].get()
	defer k.signers[0].put(m)
	return render(kind, c.Tenant, c.Consumer, c.Epoch, m.sum(kind, c))
}

// Verify proves that some key of the ring made tok for this kind and stream,
// and returns its claim. Every key is tried, in constant time.
func (k *Keyring) Verify(kind Kind, stream, tok string) (Claim, error) {
	p, ok := parse(tok)
	if !ok {
		return Claim{}, refused(Malformed)
	}
	if p.Kind != kind {
		return Claim{}, refused(WrongKind)
	}
	c := Claim{Tenant: p.Tenant, Stream: stream, Consumer: p.Consumer, Epoch: p.Epoch}
	if !k.made(&p, c) {
		return Claim{}, refused(Forged)
	}
	return c, nil
}

func (k *Keyring) made(p *Parsed, c Claim) bool {
	found := 0
	for _, s := range k.signers {
		m := s.get()
		found |= subtle.ConstantTimeCompare(m.sum(p.Kind, c), p.mac[:])
		s.put(m)
	}
	return found == 1
}

const redacted = "redacted"

// String hides the keys.
func (k *Keyring) String() string { return redacted }

// Format hides the keys from every verb of package fmt.
func (k *Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the keys from slog.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the keys from JSON and other encodings.
func (k *Keyring) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// signer keeps keyed hash states for reuse, because keying one costs more than
// the MAC of a token.
type signer struct {
	states sync.Pool
}

type state struct {
	hash hash.Hash
	in   []byte
	out  []byte
}

func newSigner(key []byte) *signer {
	key = append([]byte(nil), key...)
	s := &signer{}
	s.states.New = func() any {
		return &state{hash: hmac.New(sha256.New, key)}
	}
	return s
}

func (s *signer) get() *state  { return s.states.Get().(*state) } //nolint:forcetypeassert // the pool holds nothing else
func (s *signer) put(m *state) { s.states.Put(m) }

// sum is valid until the state is put back. Each text goes in behind its
// length, so no two claims have the same input.
func (m *state) sum(kind Kind, c Claim) []byte {
	m.in = append(m.in[:0], byte(kind))
	for _, s := range [...]string{c.Tenant, c.Stream, c.Consumer} {
		m.in = binary.BigEndian.AppendUint32(m.in, uint32(len(s))) //nolint:gosec // bounded by the input limits
		m.in = append(m.in, s...)
	}
	m.in = binary.BigEndian.AppendUint64(m.in, uint64(c.Epoch)) //nolint:gosec // the bits matter, not the sign
	m.hash.Reset()
	m.hash.Write(m.in)
	m.out = m.hash.Sum(m.out[:0])
	return m.out
}
