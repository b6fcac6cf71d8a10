package main

import (
	"context"
	"errors"
	"time"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const stopPostgres = 30 * time.Second

// dev starts a Postgres, brings it to this build's schema and runs a node on it.
func dev(ctx context.Context, p process, c config, _ []string) (err error) {
	p.say("Starting Postgres in %s", c.dataDir)
	postgres, err := localpg.Start(ctx, localpg.Options{
		DataDir: c.dataDir, BinDir: c.postgresBin, Durable: true, Progress: p.stderr,
	})
	if err != nil {
		return unlessStopped(ctx, p, devHint(err))
	}
	defer func() {
		// The node has drained by now, so nobody loses an answer.
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPostgres)
		defer cancel()
		err = errors.Join(err, postgres.Stop(stop))
		p.say("Stopped. The data stays in %s", postgres.DataDir())
	}()
	c.databaseURL = postgres.DSN("postgres")
	if c.logFormat == "auto" {
		c.logFormat = "text"
	}
	if err := migrateDev(ctx, c.databaseURL); err != nil {
		return unlessStopped(ctx, p, err)
	}
	return runNode(ctx, p, c, nodeOptions(p, c), func(node *server.Server) {
		p.say("%s", greeting(node.PublicURL(), c.databaseURL))
		if c.access.auth == server.AuthKeys {
			p.say("\nCallers need a key, and each line above -H \"authorization: Bearer $KEY\":\n"+
				"  KEY=$(wakelatch keys create --database-url '%s' --tenant default --principal user:me --role admin)", c.databaseURL)
		}
	})
}

func migrateDev(ctx context.Context, dsn string) error {
	pool, err := pg.NewPool(ctx, pg.PoolOptions{DSN: dsn, ApplicationName: "wakelatch dev", MaxConns: migratePoolSize})
	if err != nil {
		return err
	}
	defer pool.Close()
	return migrations.Up(ctx, pool)
}
