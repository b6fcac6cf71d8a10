package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/server/stream"
)

// Role is what a caller may do.
type Role = apikey.Role

// The roles; each may do what those before it may.
const (
	RoleViewer = apikey.Viewer
	RoleClient = apikey.Client
	RoleRunner = apikey.Runner
	RoleAdmin  = apikey.Admin
)

// Identity is who sent a request.
type Identity struct {
	Tenant    string
	Principal Principal
	Role      Role

	key apikey.Key
}

// Allows says whether the identity may do what needs the role.
func (i Identity) Allows(need Role) bool { return rank(i.Role) > 0 && rank(i.Role) >= rank(need) }

// rank orders the roles. What is no role may do nothing, and nobody has it.
func rank(r Role) int { return slices.Index(apikey.Roles(), r) + 1 }

// Authenticator is the seam between the wire and whatever proves who calls.
type Authenticator interface {
	// Admit refuses a request for where it comes from. Every request but those of the health routes is asked about.
	Admit(r *http.Request) error
	// Identify says who sent an admitted request.
	Identify(r *http.Request) (Identity, error)
	// Spend refuses a request of somebody who sends too many.
	Spend(who Identity) error
	// Beside is the tenant that is proven by what a request carries besides the token of a claim, "" for none. It does
	// not wait for long and it does not count the request.
	Beside(r *http.Request) string
}

// ForbiddenError is a request that its caller may not make.
type ForbiddenError struct {
	// Code is the wire's code, such as FOREIGN_ORIGIN.
	Code string
	// Why says what was wrong and what to do.
	Why string
}

// Error says why.
func (e *ForbiddenError) Error() string { return e.Why }

func wrongRole(has, need Role) error {
	return &ForbiddenError{Code: codeForbidden, Why: fmt.Sprintf("the caller's role is %s, and this needs %s or more; use a key of such a role", has, need)}
}

// UnauthorizedError is a request without a proof that it needs, or with one that does not hold.
type UnauthorizedError struct{ Why string }

// Error says why.
func (e *UnauthorizedError) Error() string { return e.Why }

// refusedReader is the refusal of a request as its sender can bear it: one that reads a wake stream would
// repeat a 403 at once and for ever.
func refusedReader(r *http.Request, err error) error {
	path, unreadable := stream.ParsePath(r.PathValue(wildPath))
	if r.Method == http.MethodGet && unreadable == nil && path.Kind() == stream.Wake {
		note(r.Context(), slog.Any("cause", err))
		return errWakeStream
	}
	return err
}

const (
	claimTokenHeader = "Electric-Claim-Token"
	runnerIDHeader   = "Electric-Runner-Id"
	principalHeader  = "Electric-Principal"
)

// claimSecret is the token that a callback, an append or a tag write carries: the claim token's header is read before
// the bearer, because the latter may be an API key, which is no token.
func claimSecret(r *http.Request) string {
	if secret := r.Header.Get(claimTokenHeader); secret != "" {
		return secret
	}
	if secret := bearer(r); !apikey.Looks(secret) {
		return secret
	}
	return ""
}

// still says whether who waited for news may have it: a key may have been revoked in the meantime. A token needs no
// second look, since who held the claim has read the stream before.
func (a *API) still(r *http.Request) error {
	if claimSecret(r) != "" {
		return nil
	}
	_, err := a.options.Auth.Identify(r)
	return err
}

// sameTenant refuses a token beside a key of another tenant.
func (a *API) sameTenant(r *http.Request, tenant string) bool {
	beside := a.options.Auth.Beside(r)
	return beside == "" || beside == tenant
}
