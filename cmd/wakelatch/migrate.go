package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const migratePoolSize = 4

func migrate(ctx context.Context, p process, c config, args []string) error {
	if len(args) != 1 || (args[0] != "up" && args[0] != "status") {
		return &usageError{errors.New("say what to do: up or status")}
	}
	pool, err := pg.NewPool(ctx, pg.PoolOptions{DSN: c.databaseURL, ApplicationName: "wakelatch migrate", MaxConns: migratePoolSize})
	if err != nil {
		return err
	}
	defer pool.Close()
	before, err := migrations.List(ctx, pool)
	if err != nil {
		return err
	}
	if args[0] == "status" {
		return status(p, before)
	}
	missing := pending(before)
	if len(missing) == 0 {
		p.say("The schema is up to date: %d migrations.", len(before))
		return nil
	}
	for _, name := range missing {
		p.say("Applying %s", name)
	}
	if err := migrations.Up(ctx, pool); err != nil {
		return err
	}
	p.say("The schema is up to date: %d migrations, %d of them new.", len(before), len(missing))
	return nil
}

func status(p process, list []migrations.Status) error {
	for _, m := range list {
		state := "missing"
		if m.Applied {
			state = "applied"
		}
		p.print("%-8s %s", state, m.Name)
	}
	if n := len(pending(list)); n > 0 {
		return fmt.Errorf("%d of %d migrations are missing: %w", n, len(list), migrations.ErrPending)
	}
	return nil
}

func pending(list []migrations.Status) []string {
	var names []string
	for _, m := range list {
		if !m.Applied {
			names = append(names, m.Name)
		}
	}
	return names
}
