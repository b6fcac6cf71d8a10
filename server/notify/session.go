package notify

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const closeTimeout = time.Second

// session is one connection, from connect to the error that ends it.
func (l *Listener) session(ctx context.Context) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer l.hangUp(ctx, conn)

	ctx, end := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end(nil)
	missed := make(chan struct{}, 1)
	missed <- struct{}{}
	wg.Go(func() { end(l.resync(ctx, missed)) })
	if l.o.Prober != nil {
		wg.Go(func() { l.probe(ctx) })
	}
	return l.receive(ctx, conn, missed)
}

func (l *Listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.PingTimeout)
	defer cancel()
	config := l.o.ConnConfig.Copy()
	config.OnNotification = nil // pgx then keeps them for WaitForNotification
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to listen: %w", err)
	}
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{Channel}.Sanitize()); err != nil {
		l.hangUp(ctx, conn)
		return nil, fmt.Errorf("listen on %q: %w", Channel, err)
	}
	return conn, nil
}

func (l *Listener) hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // the connection is given up whatever it says
}

// resync calls the handler once for any number of signals, until ctx ends or
// the handler fails. A signal during a call causes another one.
func (l *Listener) resync(ctx context.Context, missed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-missed:
		}
		began := time.Now()
		bounded, cancel := context.WithTimeoutCause(ctx, l.o.ResyncTimeout,
			fmt.Errorf("a resync took longer than %s", l.o.ResyncTimeout))
		err := l.o.Handler.Resync(bounded)
		cancel()
		if err != nil {
			return fmt.Errorf("resync: %w", err)
		}
		l.metrics.resyncs.Inc()
		l.becomeHealthy()
		l.log.InfoContext(ctx, "listener resynced", "duration_ms", time.Since(began).Milliseconds())
	}
}

// receive hands on notifications until the connection, a ping or the resync
// fails. It is the only user of the connection.
func (l *Listener) receive(ctx context.Context, conn *pgx.Conn, missed chan<- struct{}) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, l.o.PingInterval)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		if n != nil {
			l.dispatch(ctx, n, missed)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
		case pgconn.Timeout(err) && !conn.IsClosed():
			if err := l.ping(ctx, conn); err != nil {
				return err
			}
		default:
			return fmt.Errorf("wait for notification: %w", err)
		}
	}
}

// ping asks for an answer, since a peer that is gone without a word looks like
// a quiet one. Notifications that arrive with the answer are kept by pgx.
func (l *Listener) ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.PingTimeout)
	defer cancel()
	if err := conn.PgConn().Exec(ctx, "select 1").Close(); err != nil {
		return fmt.Errorf("ping of the listening connection: %w", err)
	}
	return nil
}

func (l *Listener) dispatch(ctx context.Context, n *pgconn.Notification, missed chan<- struct{}) {
	events, err := Decode(n.Payload)
	if err != nil {
		l.metrics.notifications[labelMalformed].Inc()
		l.log.WarnContext(ctx, "unreadable notification, will resync", "error", err)
		signal(missed)
		return
	}
	for _, e := range events {
		l.metrics.received(e.Kind)
		if !l.own(e, missed) {
			l.o.Handler.Notify(e)
		}
	}
}

// own takes the events that are for the listener and not for its handler.
func (l *Listener) own(e Event, missed chan<- struct{}) bool {
	if e.Kind == kindProbe {
		l.probes.returned(e, l.metrics.delay)
		return true
	}
	if e.Kind == kindResync {
		signal(missed)
		return true
	}
	return false
}

func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
