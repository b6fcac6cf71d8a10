package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/wakelatch/wakelatch/server/client"
)

// agent makes a program the runner of an entity type, until ctx ends.
func agent(ctx context.Context, p process, c config, args []string) error {
	if len(args) == 0 {
		return &usageError{errors.New("name the program behind two dashes: wakelatch run --type demo -- ./agent.sh")}
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return &usageError{fmt.Errorf("%q is no program that can be run: %w", args[0], err)}
	}
	if c.logFormat == "auto" {
		c.logFormat = "text"
	}
	log := logger(p.stderr, c)
	wire, err := client.New(client.Options{URL: c.url, APIKey: c.apiKey, Logger: log})
	if err != nil {
		return err
	}
	defer wire.Close()
	run := &worker{path: path, args: args[1:], url: c.url, grace: c.grace, log: log}
	runner, err := client.NewRunner(wire, client.RunnerOptions{
		ID: cmp.Or(c.runnerID, c.entityType), Types: []string{c.entityType}, Handle: run.handle,
		Concurrency: int(c.concurrency), DrainTimeout: c.drainTimeout,
	})
	if err != nil {
		return err
	}
	err = runner.Run(ctx)
	log.InfoContext(ctx, "runner stopped")
	return err
}
