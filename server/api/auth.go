package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/wakelatch/wakelatch/server/stream"
)

// Role is what a caller may do.
type Role string

// The roles.
const (
	// RoleViewer reads.
	RoleViewer Role = "viewer"
	// RoleClient spawns entities, sends to them, signals them, and does what a viewer does.
	RoleClient Role = "client"
	// RoleRunner registers runners and entity types, works on wakes, and does what a client does: agents spawn and send.
	RoleRunner Role = "runner"
	// RoleAdmin may do everything.
	RoleAdmin Role = "admin"
)

// Identity is who sent a request.
type Identity struct {
	Tenant    string
	Principal Principal
	Role      Role
}

// Allows says whether the identity may do what needs the role.
func (i Identity) Allows(need Role) bool { return rank(i.Role) >= rank(need) }

// rank orders the roles: each may do what those below it may. What is no role may do nothing, and nobody has it.
func rank(r Role) int {
	switch r {
	case RoleViewer:
		return 1
	case RoleClient:
		return 2
	case RoleRunner:
		return 3
	case RoleAdmin:
		return 4
	}
	return 0
}

// Authenticator is the seam between the wire and whatever proves who calls.
type Authenticator interface {
	// Admit refuses a request for where it comes from. Every request but those of the health routes is asked about.
	Admit(r *http.Request) error
	// Identify says who sent an admitted request.
	Identify(r *http.Request) (Identity, error)
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
	return &ForbiddenError{Code: "FORBIDDEN", Why: fmt.Sprintf("the caller's role is %s, and this needs %s or more; use a key of such a role", has, need)}
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

// claimSecret is the token that a callback, an append or a tag write carries: the claim token's header
// is read before the bearer, because a runner behind a proxy may need the latter for an API key.
func claimSecret(r *http.Request) string {
	if secret := r.Header.Get(claimTokenHeader); secret != "" {
		return secret
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}
