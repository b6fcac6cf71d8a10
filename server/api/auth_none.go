package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// DefaultTenant is the tenant of everything while there is no authentication.
const DefaultTenant = "default"

// NoAuth lets everybody do everything, for a developer's machine or a closed network. What it still
// refuses is a web page that drives the server from a browser: a request must name the server by a
// loopback name, by its listen address or by its public URL, and a browser's Origin must be one of those.
type NoAuth struct {
	names     map[string]bool
	anyNumber bool
}

// NewNoAuth makes the authenticator of a node that listens on an address and is reached under a URL.
// A node that listens on every address may be named by any IP number: no page can make a number its own name. A page
// can come from a number, so as an origin only the one that the request names is taken.
func NewNoAuth(listen string, public *url.URL) *NoAuth {
	n := &NoAuth{names: map[string]bool{}}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		n.names[hostName(host)] = true
		addr, err := netip.ParseAddr(host)
		n.anyNumber = host == "" || (err == nil && addr.IsUnspecified())
	}
	if public != nil {
		n.names[hostName(public.Hostname())] = true
	}
	return n
}

// Admit refuses a foreign Host or Origin.
func (n *NoAuth) Admit(r *http.Request) error {
	if known := n.own(r.Host) || n.anyNumber && isNumber(hostOf(r.Host)); !known {
		return &ForbiddenError{Code: "FOREIGN_HOST", Why: "this server does not go by the name in the request's Host header; " +
			"use its listen address, or start it with a public URL of that name"}
	}
	for _, origin := range r.Header.Values("Origin") {
		from, err := url.Parse(origin)
		if err != nil || from.Host == "" || (!n.own(from.Host) && hostOf(from.Host) != hostOf(r.Host)) {
			return &ForbiddenError{Code: "FOREIGN_ORIGIN", Why: "a server without authentication takes no requests from pages of another origin"}
		}
	}
	return nil
}

// Identify believes the header, and takes a caller without it for the developer.
func (n *NoAuth) Identify(r *http.Request) (Identity, error) {
	who := Principal{Kind: "system", ID: "dev-local"}
	if named := r.Header.Get(principalHeader); named != "" {
		var err error
		if who, err = ParsePrincipal(named); err != nil {
			return Identity{}, err
		}
	}
	return Identity{Tenant: DefaultTenant, Principal: who, Role: RoleAdmin}, nil
}

// Spend lets everybody send what they like.
func (n *NoAuth) Spend(Identity) error { return nil }

// Beside is nobody: there are no keys.
func (n *NoAuth) Beside(*http.Request) string { return "" }

func (n *NoAuth) own(hostport string) bool {
	host := hostOf(hostport)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || n.names[host] {
		return host != ""
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func isNumber(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func hostOf(hostport string) string {
	if name, _, err := net.SplitHostPort(hostport); err == nil {
		return hostName(name)
	}
	return hostName(hostport)
}

func hostName(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
