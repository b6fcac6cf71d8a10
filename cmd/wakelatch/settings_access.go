package main

import "time"

// access is the settings of who may reach a node and how much of it one may take.
type access struct {
	auth              string
	rateLimit         int64
	rateBurst         int64
	tlsCert           string
	tlsKey            string
	metricsListen     string
	requestTimeout    time.Duration
	readHeaderTimeout time.Duration
	idleTimeout       time.Duration
	maxHeaderBytes    int64
}

// keyRequest is the settings of the commands that manage keys.
type keyRequest struct {
	tenant    string
	principal string
	role      string
	label     string
	expiresIn time.Duration
}

func accessSettings() []setting {
	return []setting{
		{
			"auth", "none|keys", "none", "how callers prove who they are; none believes everybody and is for closed networks, keys asks for API keys", forNodes,
			oneOf(func(c *config) *string { return &c.access.auth }, "none", "keys"),
		},
		{
			"rate-limit", "N", "0", "how many requests a second an API key may send in the long run; 0 is no limit", forNodes,
			number(func(c *config) *int64 { return &c.access.rateLimit }, 0, 1_000_000),
		},
		{
			"rate-burst", "N", "0", "how many requests an API key may send at once; 0 is twice the rate limit", forNodes,
			number(func(c *config) *int64 { return &c.access.rateBurst }, 0, 1_000_000),
		},
		{
			"tls-cert", "FILE", "", "the certificate with its chain, in PEM; it is read again when it changes (default: no TLS)", forServe,
			text(func(c *config) *string { return &c.access.tlsCert }),
		},
		{
			"tls-key", "FILE", "", "the key of the certificate, in PEM", forServe,
			text(func(c *config) *string { return &c.access.tlsKey }),
		},
		{
			"metrics-listen", "ADDRESS", "", "where to show metrics and health alone; with auth keys metrics are nowhere else", forNodes,
			optional(address(func(c *config) *string { return &c.access.metricsListen })),
		},
		{
			"request-timeout", "DURATION", "0s", "how long a request that does not wait for news may take; 0 is the ride-out and 20s", forNodes,
			duration(func(c *config) *time.Duration { return &c.access.requestTimeout }, 0, time.Hour),
		},
		{
			"read-header-timeout", "DURATION", "10s", "how long a caller may take to send a request's header", forNodes,
			duration(func(c *config) *time.Duration { return &c.access.readHeaderTimeout }, 10*time.Millisecond, time.Hour),
		},
		{
			"idle-timeout", "DURATION", "2m", "how long a connection without a request is kept; make it longer than the balancer's", forNodes,
			duration(func(c *config) *time.Duration { return &c.access.idleTimeout }, 10*time.Millisecond, 24*time.Hour),
		},
		{
			"max-header-bytes", "BYTES", "65536", "the largest header of a request taken", forNodes,
			number(func(c *config) *int64 { return &c.access.maxHeaderBytes }, 4096, 1<<20),
		},
		{
			"api-key", "KEY", "", "the API key, if the nodes ask for one; prefer the variable, flags show in ps", forAgent,
			text(func(c *config) *string { return &c.apiKey }),
		},
		{
			"tenant", "NAME", "", "of create: whose key it is; of list: show only this tenant's", forKeys,
			text(func(c *config) *string { return &c.key.tenant }),
		},
		{
			"principal", "KIND:ID", "", "of create: who acts with the key, such as user:alice", forKeys,
			text(func(c *config) *string { return &c.key.principal }),
		},
		{
			"role", "ROLE", "", "of create: viewer, client, runner or admin; each may do what those before it may", forKeys,
			text(func(c *config) *string { return &c.key.role }),
		},
		{
			"label", "TEXT", "", "of create: what the key is for", forKeys,
			text(func(c *config) *string { return &c.key.label }),
		},
		{
			"expires-in", "DURATION", "0s", "of create: how long the key works, such as 720h; 0 is for ever", forKeys,
			duration(func(c *config) *time.Duration { return &c.key.expiresIn }, 0, maxKeep),
		},
		{
			"reason", "TEXT", "", "of revoke: why; it stays with the key", forKeys,
			text(func(c *config) *string { return &c.reason }),
		},
		{
			"json", "", "false", "print JSON, for scripts", forKeys,
			boolean(func(c *config) *bool { return &c.json }),
		},
	}
}
