// Command wakelatch keeps the claim lifecycle of pull-wake runners in Postgres.
//
//	wakelatch demo             kill nodes and runners at work, and see that nothing is lost
//	wakelatch dev              everything on this machine, with a Postgres of its own
//	wakelatch migrate up       bring a database to this build's schema
//	wakelatch serve            one node for production
//	wakelatch run -- PROGRAM   make any program the runner of an entity type
//
// Every setting is a flag and an environment variable of the same name; see wakelatch help COMMAND.
//
// It exits with 0 after a stop that was asked for, 1 when something failed, 2 when the command or a
// setting is wrong, 3 when the database's schema is behind this build, 4 when what was named does not exist, and
// 130 when a demo was interrupted.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for a stop in order; from then on the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], process{getenv: os.LookupEnv, environ: os.Environ, stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(code)
}
