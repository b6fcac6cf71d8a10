package main

import (
	"context"
	"log/slog"

	"github.com/wakelatch/wakelatch/server"
)

// warnOfAccess says what a node's settings leave open.
func warnOfAccess(ctx context.Context, c config, log *slog.Logger) {
	if c.access.auth == server.AuthNone {
		log.WarnContext(ctx, "there is no authentication: whoever reaches this node may do everything, under any name",
			"auth", c.access.auth, "listen", c.listen)
		return
	}
	if c.access.tlsCert == "" && !loopback(c.listen) {
		log.WarnContext(ctx, "keys and tokens travel in the clear unless what stands before this node speaks TLS",
			"listen", c.listen, "flag", "--tls-cert")
	}
	if c.access.metricsListen == "" {
		log.InfoContext(ctx, "metrics are not served: they tell of all tenants, so they need an address of their own", "flag", "--metrics-listen")
	}
}

func serve(ctx context.Context, p process, c config, _ []string) error {
	o := nodeOptions(p, c)
	warnOfAccess(ctx, c, o.Logger)
	if len(c.tokenKeys) == 0 {
		o.Logger.WarnContext(ctx, "no token key is set: tokens are signed with one kept in the database, "+
			"and whoever reads that table can make tokens", "table", "wakelatch.secrets", "variable", "WAKELATCH_TOKEN_KEY")
	}
	if c.publicURL == "" {
		o.Logger.WarnContext(ctx, "no public url is set: callbacks lead to this node's listen address and not to the balancer",
			"listen", c.listen)
	}
	return runNode(ctx, p, c, o, func(*server.Server) {})
}
