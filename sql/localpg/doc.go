// Package localpg runs a Postgres server of our own on this machine. The development command, the demo and the tests
// all use it, so what a newcomer tries first is what the tests have tried before.
//
// # Binaries
//
// A data directory that exists is opened with binaries of its own major version or not at all, and it is never
// deleted. A new one takes the newest supported version that [Finder] finds on the machine. Where there is none, an
// archive is fetched once per user and kept.
//
// # Accounts
//
// Postgres refuses to run as root. Started by root, the server runs as the account postgres, else nobody. What that
// account cannot reach goes under /var/tmp instead, at a path that depends only on the one asked for, so the next
// start finds it again. The account executes the Postgres binaries and /bin/sh, and no file of ours.
//
// # A data directory
//
//	DIR/lock          held (flock) by whoever uses DIR; names the pid
//	DIR/password      of the superuser, readable by its owner only
//	DIR/port          of the last start, taken again when it is free
//	DIR/postgres.log  of the last start
//	DIR/postgres/     what initdb made; it appears complete or not at all
//
// # How it ends
//
// There is one way down, whatever the cause. A watchdog, which is /bin/sh reading a pipe whose other end only this
// process holds, is started before anything else and is told the pid of every process before that process does
// anything. When the pipe ends, because of [Server.Stop] or because this process has died in any manner, the watchdog
// signals that pid, waits for the last server process to be gone and removes what is temporary. It has the lock open
// too, so the directory is free exactly when nothing uses it any more.
package localpg
