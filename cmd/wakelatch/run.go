package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/wakelatch/wakelatch/cmd/wakelatch/demo"
	"github.com/wakelatch/wakelatch/sql/migrations"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitPending = 3
	exitMissing = 4
	// What a shell makes of a program that SIGINT ended.
	exitInterrupted = 130
)

// process is what a command has of the process it runs in.
type process struct {
	getenv         func(string) (string, bool)
	environ        func() []string // every variable; nil for none that getenv is not asked for
	stdout, stderr io.Writer
}

// say prints a line for a person.
func (p process) say(format string, args ...any) { _, _ = fmt.Fprintf(p.stderr, format+"\n", args...) }

// print puts out what was asked for.
func (p process) print(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format+"\n", args...)
}

// command is one thing that the binary does.
type command struct {
	name    string
	args    string // what stands behind the flags, for the usage line
	summary string
	details string
	kind    commandSet
	run     func(ctx context.Context, p process, c config, args []string) error
}

func commands() []command {
	return []command{
		{
			name: "dev", kind: forDev, run: dev, summary: "run one node with a Postgres of its own; nothing else to set up",
			details: "The database lives in the data directory and survives a restart. Not for production: there is no authentication.",
		},
		{
			name: "serve", kind: forServe, run: serve, summary: "run one node for production",
			details: "Start as many as you like on one database, behind any balancer. SIGTERM drains the node and exits with 0.",
		},
		{
			name: "migrate", args: "up|status", kind: forMigrate, run: migrate, summary: "bring a database to this build's schema, or show what is missing",
			details: "status exits with 3 while something is missing.",
		},
		{
			name: "run", args: "-- PROGRAM [ARGUMENT…]", kind: forAgent, run: agent, summary: "make any program the runner of an entity type",
			details: "For each wake the program gets the messages as JSON lines on stdin, and its lines on stdout go to the entity's stream.\n" +
				"Exit 0 says that it handled them; after any other the messages stay pending and come again after a backoff.\n" +
				"It finds the wake in WAKELATCH_URL, WAKELATCH_ENTITY, WAKELATCH_STREAM, WAKELATCH_TOKEN, WAKELATCH_WAKE and WAKELATCH_EPOCH.\n" +
				"SIGTERM drains: wakes that are at work are finished, others are left to the other processes of the runner.",
		},
		{
			name: "demo", kind: forDemo, run: demonstrate, summary: "kill nodes and runners at work and see that nothing is lost; under a minute",
			details: "It brings a Postgres of its own, starts two nodes and three runners as processes, kills one of each in the middle\n" +
				"of a wake, and judges by the database and the streams. It exits with 0 only if nothing was lost, doubled or stuck, a\n" +
				"claim was taken over and a write of an old epoch refused. Ctrl-C ends everything it started; it exits with 130 then.",
		},
		{
			name: "why", args: "/TYPE/ID", kind: forWhy, run: why, summary: "say who owns an entity, what happened, what happens next, and what changes it",
		},
		{
			name: "doctor", kind: forDoctor, run: examine, summary: "look for what goes wrong, and say what mends it; exit 1 on any failure",
			details: "It asks the database itself, with the nodes' own settings, and needs no node. One line for each check: ok, skipped,\n" +
				"warn or FAIL, then the rows and the commands that mend them. Looking changes nothing.",
		},
		{
			name: "mend", args: "TENANT /TYPE/ID", kind: forMend, run: mend, summary: "bring rows of one entity that contradict each other into agreement",
			details: "For what wakelatch doctor finds under consistency, and with no effect on an entity that agrees with itself. The entity's\n" +
				"newest active claim is kept; the nodes' sweep ends what has no right to go on, and wakes what waits.",
		},
		{
			name: "claims", args: "list|show|release", kind: forClaims, run: pick(claimCommands), summary: "list claims, show one, or take one from its holder",
			details: "  list                      the newest first; --status, --entity, --runner\n" +
				"  show CONSUMER EPOCH       one claim and its lease\n" +
				"  release CONSUMER EPOCH    end it now: its holder's writes are refused from then on, and its work is given out again",
		},
		{
			name: "runners", args: "list|show|drain|…", kind: forRunners, run: pick(runnerCommands), summary: "list runners, show one, drain, enable, disable or delete it",
			details: "  list          all of them\n" +
				"  show ID       one, with its health, what it works on and what happened\n" +
				"  drain ID      no new wakes; it finishes what it has, which is shown; --wait until that is nothing\n" +
				"  enable ID     wakes again\n" +
				"  disable ID    no wakes, and it counts as offline; it keeps the claims it has\n" +
				"  delete ID     its claims are released and its work waits for another one",
		},
		{
			name: "entities", args: "list|show|pause|…", kind: forEntities, run: pick(entityCommands), summary: "list entities, show one, pause, resume, stop, kill, un-park, move or delete it",
			details: "  list              by name; --type, --status, --runner, --parked\n" +
				"  show /TYPE/ID     one; wakelatch why says more\n" +
				"  pause /TYPE/ID    no wakes until it is resumed (SIGSTOP)\n" +
				"  resume /TYPE/ID   work that waits is woken at once (SIGCONT)\n" +
				"  stop /TYPE/ID     for good, after the claim that it is under (SIGTERM)\n" +
				"  kill /TYPE/ID     for good and at once; its claim is released (SIGKILL)\n" +
				"  unpark /TYPE/ID   wake it again after too many failures in a row\n" +
				"  move /TYPE/ID     give it to another runner: --to\n" +
				"  delete /TYPE/ID   with its stream; its history stays",
		},
		{
			name: "keys", args: "create|list|revoke ID", kind: forKeys, run: manageKeys, summary: "make, show and revoke the API keys of nodes that run with --auth=keys",
			details: "create prints the key, which is kept nowhere and cannot be shown again; it needs --tenant, --principal and --role.\n" +
				"revoke needs --reason. It works on the database itself.",
		},
		{name: "version", kind: forNone, run: version, summary: "print what was built"},
	}
}

// run does what the command line says and returns the exit code.
func run(ctx context.Context, args []string, p process) int {
	if len(args) == 0 {
		p.say("%s", overview())
		return exitUsage
	}
	if wantsVersion(args[0]) {
		args = []string{"version"}
	}
	if wantsHelp(args[0]) {
		return help(p, args[1:])
	}
	all := append(commands(), hidden()...)
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		p.say("wakelatch: there is no command %q\n\n%s", args[0], overview())
		return exitUsage
	}
	cmd := all[i]
	if own, _ := cutProgram(args[1:]); slices.ContainsFunc(own, wantsHelp) {
		p.print("%s", usage(cmd))
		return exitOK
	}
	if p.environ != nil && cmd.kind != forNone {
		warnOfUnknown(p, cmd, p.environ())
	}
	config, rest, err := parse(cmd, args[1:], p.getenv)
	if err == nil {
		err = cmd.run(ctx, p, config, rest)
	}
	return report(p, cmd, err)
}

// usageError is a command line that cannot be followed.
type usageError struct{ err error }

// Error is the cause's.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap is the cause.
func (e *usageError) Unwrap() error { return e.err }

func report(p process, cmd command, err error) int {
	var usage *usageError
	var missing *notFoundError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		p.say("wakelatch %s: %v\nSee: wakelatch help %s", cmd.name, err, cmd.name)
		return exitUsage
	case errors.Is(err, migrations.ErrPending):
		p.say("wakelatch %s: %v", cmd.name, err)
		return exitPending
	case errors.As(err, &missing):
		p.say("wakelatch %s: %v", cmd.name, err)
		return exitMissing
	case errors.Is(err, demo.ErrInterrupted):
		p.say("wakelatch %s: %v", cmd.name, err)
		return exitInterrupted
	default:
		p.say("wakelatch %s: %v", cmd.name, err)
		return exitFailed
	}
}
