package server

import (
	"errors"
	"fmt"
	"time"
)

// The ways in which callers prove who they are.
const (
	// AuthNone believes everybody, under any name.
	AuthNone = "none"
	// AuthKeys asks for API keys; see package apikey.
	AuthKeys = "keys"
)

// Access says who may reach a node, over what, and how much one request or key may take. All of it may be left zero.
type Access struct {
	// Auth is AuthNone or AuthKeys; "" means AuthNone.
	Auth string
	// RateLimit is how many requests a second a key may send in the long run, and RateBurst how many at once; 0 is no
	// limit. What a token of a claim opens does not count.
	RateLimit, RateBurst int
	// TLSCert and TLSKey are PEM files of the certificate and its key. They are read again while the node runs.
	TLSCert, TLSKey string
	// MetricsListen is an address for metrics and health alone; metrics are not at the main address then. With AuthKeys
	// they never are: they tell of all tenants, and no key is of all tenants.
	MetricsListen string

	// RequestTimeout bounds a request that does not wait for news; the ride-out and 20 s.
	RequestTimeout time.Duration
	// ReadHeaderTimeout is how long a caller may take to send a request's header; 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request; 2 min.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the header of a request; 64 KiB.
	MaxHeaderBytes int
}

// requestMargin is what a request may take besides riding out an outage.
const requestMargin = 20 * time.Second

func (a Access) withDefaults(rideOut time.Duration) Access {
	if a.Auth == "" {
		a.Auth = AuthNone
	}
	if a.MaxHeaderBytes == 0 {
		a.MaxHeaderBytes = 64 << 10
	}
	if a.RateBurst == 0 {
		a.RateBurst = 2 * a.RateLimit
	}
	setDefault(&a.RequestTimeout, rideOut+requestMargin)
	setDefault(&a.ReadHeaderTimeout, 10*time.Second)
	setDefault(&a.IdleTimeout, 2*time.Minute)
	return a
}

func (a Access) validate() error {
	var wrong []error
	if a.Auth != "" && a.Auth != AuthNone && a.Auth != AuthKeys {
		wrong = append(wrong, fmt.Errorf("auth %q is unknown: use %s or %s", a.Auth, AuthNone, AuthKeys))
	}
	if (a.TLSCert == "") != (a.TLSKey == "") {
		wrong = append(wrong, errors.New("a certificate and its key are set together, or neither is"))
	}
	if a.RateLimit < 0 || a.RateBurst < 0 || a.MaxHeaderBytes < 0 {
		wrong = append(wrong, errors.New("a limit is negative"))
	}
	if a.RateLimit > 0 && a.Auth != AuthKeys {
		wrong = append(wrong, errors.New("a rate limit is per key, and without keys there is nobody to count for"))
	}
	for _, d := range []time.Duration{a.RequestTimeout, a.ReadHeaderTimeout, a.IdleTimeout} {
		if d < 0 {
			wrong = append(wrong, fmt.Errorf("duration %s is negative", d))
		}
	}
	return errors.Join(wrong...)
}

// tls says whether the node speaks TLS.
func (a Access) tls() bool { return a.TLSCert != "" }

func (a Access) scheme() string {
	if a.tls() {
		return "https"
	}
	return "http"
}
