package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wakelatch/wakelatch/server/redact"
)

// failureStop bounds the stop of a node that fails by itself.
const failureStop = 30 * time.Second

// Server is one node. Several may live in one process.
type Server struct {
	options Options
	ready   atomic.Bool
	cleanup cleanup

	start   sync.Once
	stop    sync.Once
	stopped chan struct{}
	stopErr error

	mu      sync.Mutex
	failure error
	addr    string
	public  *url.URL

	metricsAddr string
}

// New makes a node that does nothing yet.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("configure node: %w", err)
	}
	s := &Server{options: o.withDefaults(), stopped: make(chan struct{})}
	s.options.Logger = slog.New(redact.Handler(s.options.Logger.Handler())).With("node_id", s.options.NodeID)
	s.cleanup.log = s.options.Logger
	return s, nil
}

// Start boots the node and returns when it serves. The context bounds the boot only. A boot that fails leaves
// nothing behind; a node is started once.
func (s *Server) Start(ctx context.Context) error {
	err := errors.New("start node: it was started or stopped before")
	s.start.Do(func() {
		select {
		case <-s.stopped:
			return
		default:
		}
		if err = s.boot(ctx); err == nil {
			err = s.Err()
		}
		if err == nil {
			return
		}
		rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), failureStop)
		defer cancel()
		// A part that failed during the boot has begun the stop already; what was acquired since is undone here.
		err = errors.Join(err, s.Stop(rollback), s.cleanup.run(rollback))
	})
	return err
}

// Stop drains the node: not ready, long-polls ended, requests finished, jobs and loops stopped. When ctx
// ends first, what is left is cut short. A second call waits for the first and returns the same.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		s.stopErr = s.cleanup.run(ctx)
		close(s.stopped)
	})
	return s.stopErr
}

// Done is closed when the node has stopped, because it was asked to or because it failed; see Err.
func (s *Server) Done() <-chan struct{} { return s.stopped }

// Err is why the node failed, nil if it did not.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Addr is the address the node takes requests at, "" before it does.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// URL is where this node is reached on its own address.
func (s *Server) URL() string { return s.options.Access.scheme() + "://" + s.Addr() }

// MetricsAddr is the address of the metrics if they have one of their own, "" otherwise and before the node serves.
func (s *Server) MetricsAddr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.metricsAddr
}

// PublicURL is where runners reach the nodes; callbacks are made from it.
func (s *Server) PublicURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.public == nil {
		return ""
	}
	return s.public.String()
}

// Registry has the node's metrics.
func (s *Server) Registry() *prometheus.Registry { return s.options.Registry }

// fail brings the node down: a part of it that runs as long as the node has ended before it. A node is
// whole or gone, never half alive.
func (s *Server) fail(ctx context.Context, name string, err error) {
	if err == nil {
		err = errors.New("it ended")
	}
	err = fmt.Errorf("node failed in its %s: %w", name, err)
	s.mu.Lock()
	first := s.failure == nil
	if first {
		s.failure = err
	}
	s.mu.Unlock()
	if !first {
		return
	}
	s.options.Logger.ErrorContext(ctx, "node goes down", "error", err)
	go func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), failureStop)
		defer cancel()
		_ = s.Stop(stop)
	}()
}
