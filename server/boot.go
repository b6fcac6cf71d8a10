package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// ErrAddressInUse means that another process listens at the node's address.
var ErrAddressInUse = errors.New("the address is in use: stop what listens there, or choose another one")

const (
	// River has its listener, its leader's work and its workers' fetches.
	jobsPoolSize = 6
)

// Connections is how many connections to the database a node with this pool size opens at most: its pool, River's
// and the gauges', and the listener's.
func Connections(poolSize int) int { return poolSize + jobsPoolSize + 1 }

// boot starts everything in order: what a request needs is there before the first one is taken, and the
// node says that it is ready last.
func (s *Server) boot(ctx context.Context) error {
	o := s.options
	pool, err := s.openPool(ctx, "database pool", pg.PoolOptions{
		DSN: o.DatabaseURL, ApplicationName: o.NodeID, MaxConns: o.PoolSize, Tracer: o.Tracer,
	})
	if err != nil {
		return err
	}
	jobsPool, err := s.openPool(ctx, "jobs pool", pg.PoolOptions{
		DSN: o.ListenDatabaseURL, ApplicationName: o.NodeID + " jobs", MaxConns: jobsPoolSize,
	})
	if err != nil {
		return err
	}
	registerPool(o.Registry, pool)
	if err := migrations.Check(ctx, pool); err != nil {
		return err
	}
	n, err := s.newNode(ctx, pool, jobsPool)
	if err != nil {
		return err
	}

	if err := s.startListener(ctx, n); err != nil {
		return err
	}
	s.background(ctx, "publisher", n.publisher.Run)
	run, stopLoops := s.loops(ctx)
	s.cleanup.add("loops", stopLoops)
	if err := n.jobs.Start(context.WithoutCancel(ctx), n.claims, n.entities); err != nil {
		return err
	}
	s.cleanup.add("jobs", n.jobs.Stop)
	for name, loop := range n.loops() {
		run(name, loop)
	}
	return s.serve(ctx, n)
}

// openPool opens a pool; its cleanup waits for the connections that are out.
func (s *Server) openPool(ctx context.Context, name string, o pg.PoolOptions) (*pgxpool.Pool, error) {
	// The pool outlives the boot, and so must the context of its own upkeep.
	pool, err := pg.NewPool(context.WithoutCancel(ctx), o)
	if err != nil {
		return nil, err
	}
	s.cleanup.add(name, func(ctx context.Context) error { return wait(ctx, pool.Close) })
	return pool, nil
}

// startListener waits until the node knows what the rows say, from which on it hears every change.
func (s *Server) startListener(ctx context.Context, n *node) error {
	failed := s.background(ctx, "listener", n.listener.Run)
	select {
	case <-n.listener.Ready():
		return nil
	case err := <-failed:
		return fmt.Errorf("listen for notifications: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("wait for the first look at the database: %w", ctx.Err())
	}
}

// background runs a part of the node until its cleanup. One that ends before brings the node down, and
// its error can be received.
func (s *Server) background(ctx context.Context, name string, run loop) <-chan error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() {
		if err := run(ctx); ctx.Err() == nil {
			failed <- err
			s.fail(ctx, name, err)
		}
	})
	s.cleanup.add(name, func(stop context.Context) error {
		cancel()
		return wait(stop, group.Wait)
	})
	return failed
}

// loops is a group of parts that are stopped together. It exists before River starts, so that River,
// whose jobs use the loops' services, is stopped first.
func (s *Server) loops(ctx context.Context) (run func(name string, l loop), stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	run = func(name string, l loop) {
		group.Go(func() {
			if err := l(ctx); ctx.Err() == nil {
				s.fail(ctx, name, err)
			}
		})
	}
	return run, func(stop context.Context) error {
		cancel()
		return wait(stop, group.Wait)
	}
}

// listen opens an address.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = ErrAddressInUse
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return listener, nil
}

// serveMetrics answers what is asked of the node itself at an address of its own. It is stopped after the node
// has drained, so that the last minutes are seen.
func (s *Server) serveMetrics(ctx context.Context, handler http.Handler) error {
	listener, err := listen(ctx, s.options.Access.MetricsListen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: s.options.Access.ReadHeaderTimeout, ErrorLog: warnings(s.options.Logger),
	}
	var serving sync.WaitGroup
	s.cleanup.add("metrics server", func(ctx context.Context) error {
		defer serving.Wait()
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	})
	s.mu.Lock()
	s.metricsAddr = listener.Addr().String()
	s.mu.Unlock()
	serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(context.WithoutCancel(ctx), "metrics server", err)
		}
	})
	s.options.Logger.InfoContext(ctx, "metrics are served", "address", s.metricsAddr)
	return nil
}

// serve takes requests. Its cleanup, from the last step to the first: not ready, the drain delay, an end
// to what waits for news, and then the requests that are left.
func (s *Server) serve(ctx context.Context, n *node) error {
	access := s.options.Access
	listener, err := listen(ctx, s.options.Listen)
	if err != nil {
		return err
	}
	public, err := s.publicURL(listener.Addr())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	base, endWaiting := context.WithCancel(context.WithoutCancel(ctx))
	handler := n.handler(s, listener.Addr().String(), public)
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: access.ReadHeaderTimeout,
		IdleTimeout:       access.IdleTimeout,
		MaxHeaderBytes:    access.MaxHeaderBytes,
		ErrorLog:          warnings(s.options.Logger),
	}
	if n.certificate != nil {
		server.TLSConfig = n.certificate.config()
	}
	if access.MetricsListen != "" {
		if err := s.serveMetrics(ctx, handler.Operations()); err != nil {
			endWaiting()
			return errors.Join(err, listener.Close())
		}
	}
	var serving sync.WaitGroup
	s.cleanup.add("http server", func(ctx context.Context) error {
		defer serving.Wait()
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("finish requests: %w", err), server.Close())
		}
		return nil
	})
	s.cleanup.add("long-polls", func(context.Context) error { endWaiting(); return nil })
	s.cleanup.add("drain delay", func(ctx context.Context) error { return pause(ctx, s.drainDelay()) })
	s.cleanup.add("readiness", func(context.Context) error { s.ready.Store(false); return nil })
	s.mu.Lock()
	s.addr, s.public = listener.Addr().String(), public
	s.mu.Unlock()
	serving.Go(func() {
		serve := server.Serve
		if n.certificate != nil {
			serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		}
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(base, "http server", err)
		}
	})
	s.ready.Store(true)
	s.options.Logger.InfoContext(ctx, "node serves", "address", s.addr, "public_url", public.String())
	return nil
}

// drainDelay is none for a node that failed: it is not to be reached any longer.
func (s *Server) drainDelay() time.Duration {
	if s.Err() != nil {
		return 0
	}
	return s.options.DrainDelay
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publicURL is the one set, or the listen address; one that stands for every address is reached by loopback.
func (s *Server) publicURL(listening net.Addr) (*url.URL, error) {
	if s.options.PublicURL != "" {
		return url.Parse(s.options.PublicURL)
	}
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return nil, fmt.Errorf("read listen address: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return &url.URL{Scheme: s.options.Access.scheme(), Host: net.JoinHostPort(host, port)}, nil
}
