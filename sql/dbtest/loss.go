package dbtest

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// Loss is a pool whose answers can be lost: the connection breaks when what was asked has been done and
// committed, and before anybody is told.
type Loss struct {
	Pool *pgxpool.Pool

	mu     sync.Mutex
	armed  bool
	passes int
	tags   [][]byte
	lost   int
}

// NewLoss makes a pool like another one. It is open as long as the test runs.
func NewLoss(tb testing.TB, like *pgxpool.Pool) *Loss {
	tb.Helper()
	l := &Loss{}
	config := like.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &lossyConn{Conn: conn, loss: l}, nil
	}
	var err error
	l.Pool, err = pgxpool.NewWithConfig(tb.Context(), config)
	require.NoError(tb, err)
	tb.Cleanup(func() { closePool(tb, l.Pool) })
	return l
}

// Next loses the next answer that ends a transaction and has one of these command tags in it, such as COMMIT or
// INSERT; without tags any answer will do. The first passes of them still arrive.
func (l *Loss) Next(passes int, tags ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.passes, l.tags = true, passes, nil
	for _, tag := range tags {
		l.tags = append(l.tags, []byte(tag))
	}
}

// Lost is how many answers were lost.
func (l *Loss) Lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

func (l *Loss) loses(answer []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.armed || !contains(answer, l.tags) {
		return false
	}
	if l.passes > 0 {
		l.passes--
		return false
	}
	l.armed = false
	l.lost++
	return true
}

func contains(answer []byte, tags [][]byte) bool {
	for _, tag := range tags {
		if bytes.Contains(answer, tag) {
			return true
		}
	}
	return len(tags) == 0
}

type lossyConn struct {
	net.Conn
	loss   *Loss
	answer []byte
}

// ready is the message that the server takes the next command and is in no transaction.
var ready = []byte{'Z', 0, 0, 0, 5, 'I'}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.answer = append(c.answer, b[:n]...)
	if !bytes.HasSuffix(c.answer, ready) {
		return n, err
	}
	lost := c.loss.loses(c.answer)
	c.answer = c.answer[:0]
	if lost {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
