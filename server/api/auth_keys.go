package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/wakelatch/wakelatch/server/apikey"
)

// KeyAuth takes requests of who has an API key, sent as a bearer. No cookie and no address opens anything, so a page of
// another site cannot make a browser send one for it, and no Host or Origin is refused.
type KeyAuth struct{ keys *apikey.Directory }

// NewKeyAuth makes the authenticator of a node that knows keys.
func NewKeyAuth(keys *apikey.Directory) *KeyAuth { return &KeyAuth{keys: keys} }

// Admit takes every request: what it may do is decided by its key or its token.
func (k *KeyAuth) Admit(*http.Request) error { return nil }

// Identify says whose the key is. The caller may name another principal only if the key's own runs a runner that works
// for that one at this moment; then it does no more than a client may, so that an agent acts for a user, and not as one.
func (k *KeyAuth) Identify(r *http.Request) (Identity, error) {
	secret, err := keyOf(r)
	if err != nil {
		return Identity{}, err
	}
	key, err := k.keys.Check(r.Context(), secret)
	if err != nil {
		return Identity{}, err
	}
	note(r.Context(), slog.String("api_key_id", key.ID))
	own, err := ParsePrincipal(key.Principal)
	if err != nil {
		return Identity{}, err
	}
	who := Identity{Tenant: key.Tenant, Principal: own, Role: key.Role, key: key}
	named := r.Header.Get(principalHeader)
	if named == "" {
		return who, nil
	}
	return k.onBehalf(r.Context(), who, named)
}

func (k *KeyAuth) onBehalf(ctx context.Context, who Identity, named string) (Identity, error) {
	other, err := ParsePrincipal(named)
	if err != nil || other == who.Principal {
		return who, err
	}
	works, err := k.keys.WorksFor(ctx, who.Tenant, who.Principal.URL(), other.URL())
	if err != nil {
		return Identity{}, err
	}
	if !works {
		return Identity{}, &ForbiddenError{Code: codeForbidden, Why: "electric-principal names somebody for whom no runner of this key's principal " +
			"holds a claim; leave the header out to act as " + who.Principal.Key()}
	}
	who.Principal = other
	if who.Allows(RoleClient) {
		who.Role = RoleClient
	}
	return who, nil
}

// Spend refuses a request beyond what its key may send.
func (k *KeyAuth) Spend(who Identity) error { return k.keys.Spend(who.key) }

// besideTime is what a request that its token opens spends on the key beside it.
const besideTime = time.Second

// Beside is the tenant of the key that stands beside a claim's token. The token opens the route alone, whatever became of
// the key: a runner whose key ends in the middle of a wake still says done. So a key that does not hold is none here.
func (k *KeyAuth) Beside(r *http.Request) string {
	secret := bearer(r)
	if !apikey.Looks(secret) {
		return ""
	}
	ctx, cancel := context.WithTimeout(r.Context(), besideTime)
	defer cancel()
	key, err := k.keys.Check(ctx, secret)
	if err != nil {
		note(r.Context(), slog.Any("key_error", err))
		return ""
	}
	note(r.Context(), slog.String("api_key_id", key.ID))
	return key.Tenant
}

// keyOf is the key that the request carries.
func keyOf(r *http.Request) (string, error) {
	sent := r.Header.Values("Authorization")
	if len(sent) == 0 {
		return "", &UnauthorizedError{Why: "no API key was sent: send one as Authorization: Bearer wl_…"}
	}
	if len(sent) > 1 {
		return "", &UnauthorizedError{Why: "Authorization was sent more than once"}
	}
	secret := bearer(r)
	if !apikey.Looks(secret) {
		return "", &UnauthorizedError{Why: "what was sent is no API key: send one as Authorization: Bearer wl_…"}
	}
	return secret, nil
}

// bearer is the secret of the Authorization header, "" without one.
func bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// challenge tells a refused caller how to prove who it is.
func challenge(h http.Header, err error) {
	value := `Bearer realm="wakelatch"`
	if errors.Is(err, apikey.ErrUnknown) || errors.Is(err, apikey.ErrRevoked) || errors.Is(err, apikey.ErrExpired) {
		value += `, error="invalid_token"`
	}
	h.Set("WWW-Authenticate", value)
}
