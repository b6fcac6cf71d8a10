package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/wakelatch/wakelatch/server"
)

// nodeOptions are the settings of a node as package server takes them.
func nodeOptions(p process, c config) server.Options {
	return server.Options{
		DatabaseURL: c.databaseURL, ListenDatabaseURL: c.listenDatabaseURL, Listen: c.listen, PublicURL: c.publicURL,
		NodeID: c.nodeID, TokenKeys: c.tokenKeys, PoolSize: int32(c.poolSize), //nolint:gosec // the setting is at most 1000
		Lease: c.lease, SweepInterval: c.sweep, ReconcileInterval: c.reconcile, RideOut: c.rideOut,
		Backoff: c.backoff, BackoffMax: c.backoffMax, ParkAfter: parkAfter(c.parkAfter),
		KeepClaims: c.keepClaims, KeepHistory: c.keepHistory, KeepWakes: c.keepWakes, KeepJobs: c.keepJobs, RetentionInterval: c.retention,
		DrainDelay: c.drainDelay, LongPoll: c.longPoll, MaxBody: c.maxBody, Access: c.access.options(),
		Logger: logger(p.stderr, c), RuntimeMetrics: c.runtimeMetrics,
	}
}

func (a access) options() server.Access {
	return server.Access{
		Auth: a.auth, RateLimit: int(a.rateLimit), RateBurst: int(a.rateBurst), TLSCert: a.tlsCert, TLSKey: a.tlsKey,
		MetricsListen: a.metricsListen, RequestTimeout: a.requestTimeout, ReadHeaderTimeout: a.readHeaderTimeout,
		IdleTimeout: a.idleTimeout, MaxHeaderBytes: int(a.maxHeaderBytes),
	}
}

func logger(w io.Writer, c config) *slog.Logger {
	var level slog.Level
	// The setting takes only names that slog knows.
	_ = level.UnmarshalText([]byte(c.logLevel))
	options := &slog.HandlerOptions{Level: level}
	if c.logFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// runNode runs a node until ctx ends, which is a stop that was asked for, or until the node fails.
func runNode(ctx context.Context, p process, c config, o server.Options, started func(*server.Server)) error {
	node, err := server.New(o)
	if err != nil {
		return &usageError{err}
	}
	if err := node.Start(ctx); err != nil {
		return unlessStopped(ctx, p, hint(err))
	}
	started(node)
	select {
	case <-ctx.Done():
	case <-node.Done():
	}
	o.Logger.InfoContext(ctx, "node stops", "drain_delay", c.drainDelay, "drain_timeout", c.drainTimeout)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.drainDelay+c.drainTimeout)
	defer cancel()
	err = node.Stop(stop)
	o.Logger.InfoContext(stop, "node stopped")
	return errors.Join(node.Err(), err)
}

// unlessStopped makes nothing of a start that failed because somebody asked for a stop in the meantime.
func unlessStopped(ctx context.Context, p process, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	p.say("Stopped before it served.")
	return nil
}

// hint adds the flag that helps.
func hint(err error) error {
	if errors.Is(err, server.ErrAddressInUse) {
		return fmt.Errorf("%w (flag --listen)", err)
	}
	return err
}

// parkAfter is the setting as a node takes it: below zero is never, zero is the default.
func parkAfter(n int64) int {
	if n == 0 {
		return -1
	}
	return int(n)
}
