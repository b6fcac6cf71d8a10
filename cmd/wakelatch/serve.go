package main

import (
	"context"

	"github.com/wakelatch/wakelatch/server"
)

func serve(ctx context.Context, p process, c config, _ []string) error {
	o := nodeOptions(p, c)
	if c.auth == "none" {
		o.Logger.WarnContext(ctx, "there is no authentication: whoever reaches this node may do everything, under any name",
			"auth", c.auth, "listen", c.listen)
	}
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
