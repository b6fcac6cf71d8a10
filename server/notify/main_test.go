package notify_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const patience = 20 * time.Second

// within receives from ch, or fails the test after the patience of a machine
// that is busy.
func within[T any](tb testing.TB, ch <-chan T, what string) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(tb, "waited in vain for "+what)
		panic("unreachable")
	}
}

// handler hands everything to the test. If resync is set, it runs inside Resync.
type handler struct {
	events  chan notify.Event
	resyncs chan struct{}
	resync  func(context.Context) error
}

func newHandler() *handler {
	return &handler{events: make(chan notify.Event, 1000), resyncs: make(chan struct{}, 1000)}
}

func (h *handler) Notify(e notify.Event) { h.events <- e }

func (h *handler) Resync(ctx context.Context) error {
	if h.resync != nil {
		if err := h.resync(ctx); err != nil {
			return err
		}
	}
	h.resyncs <- struct{}{}
	return nil
}

// fast makes a test of a failure short.
func fast(o notify.Options) notify.Options {
	o.PingInterval, o.PingTimeout = 50*time.Millisecond, 300*time.Millisecond
	o.Backoff = notify.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond, Reset: 10 * time.Second}
	return o
}

func config(tb testing.TB, dsn string) *pgx.ConnConfig {
	tb.Helper()
	c, err := pgx.ParseConfig(dsn)
	require.NoError(tb, err)
	c.RuntimeParams["application_name"] = "listener-under-test"
	return c
}

// run runs something for the length of a test.
func run(tb testing.TB, f func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			tb.Error("Run did not return")
		}
	})
	tb.Cleanup(stop)
	return stop
}

func logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}

// proxy is a wire that a test can cut or let go silent.
type proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	silent bool
	conns  []net.Conn
	wg     sync.WaitGroup
}

func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	p := &proxy{listener: ln, target: target}
	p.wg.Go(p.accept)
	tb.Cleanup(func() {
		_ = ln.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target) //nolint:noctx // a local address
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(out, in) })
		p.wg.Go(func() { p.copy(in, out) })
	}
}

func (p *proxy) copy(to io.WriteCloser, from io.ReadCloser) {
	defer func() { _, _ = to.Close(), from.Close() }()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		silent := p.silent
		p.mu.Unlock()
		if silent {
			continue // the peer's host is gone: nobody says so
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) setSilent(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
}

// cut ends all connections, as a reset does.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// through is the configuration of a connection by way of the proxy.
func (p *proxy) through(c *pgx.ConnConfig) *pgx.ConnConfig {
	c = c.Copy()
	addr, ok := p.listener.Addr().(*net.TCPAddr)
	if !ok {
		panic("not a TCP address")
	}
	c.Host, c.Port = "127.0.0.1", addr.AddrPort().Port()
	c.Fallbacks = nil
	return c
}

func address(c *pgx.ConnConfig) string { return fmt.Sprintf("%s:%d", c.Host, c.Port) }

// value is the sum of a counter, gauge or histogram count with these labels.
func value(tb testing.TB, reg prometheus.Gatherer, name string, labels ...string) float64 {
	tb.Helper()
	families, err := reg.Gather()
	require.NoError(tb, err)
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(labels) > 0 && m.GetLabel()[0].GetValue() != labels[0] {
				continue
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	require.True(tb, found, "no metric %s %v", name, labels)
	return sum
}
