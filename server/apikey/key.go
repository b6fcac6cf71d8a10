package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
)

// Role is what the holder of a key may do.
type Role string

// The roles.
const (
	// Viewer reads.
	Viewer Role = "viewer"
	// Client spawns entities, sends to them, signals them, and does what a viewer does.
	Client Role = "client"
	// Runner registers runners and entity types, works on wakes, and does what a client does: agents spawn and send.
	Runner Role = "runner"
	// Admin may do everything within its tenant.
	Admin Role = "admin"
)

// Roles are all roles; each may do what those before it may.
func Roles() []Role { return []Role{Viewer, Client, Runner, Admin} }

// Key is whom a key stands for.
type Key struct {
	ID     string
	Tenant string
	// Principal is the short form, such as user:alice.
	Principal string
	Role      Role
}

const (
	prefix    = "wl_"
	idLen     = 12
	secretLen = 26 // of 32 letters: 130 bits
	textLen   = len(prefix) + idLen + 1 + secretLen
)

// Looks says whether a text is meant to be a key, so that it is not taken for the token of a claim.
func Looks(text string) bool { return strings.HasPrefix(text, prefix) }

// generate makes a new key.
func generate() (id, text string) {
	id = strings.ToLower(rand.Text()[:idLen])
	return id, prefix + id + "_" + strings.ToLower(rand.Text()[:secretLen])
}

// idOf is the id in a text that has the form of a key.
func idOf(text string) (id string, ok bool) {
	if len(text) != textLen || !Looks(text) {
		return "", false
	}
	id, secret, ok := strings.Cut(text[len(prefix):], "_")
	return id, ok && len(id) == idLen && alphabetic(id) && alphabetic(secret)
}

// alphabetic says whether all letters are those that generate uses: base32 in small letters.
func alphabetic(text string) bool {
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

func hash(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
