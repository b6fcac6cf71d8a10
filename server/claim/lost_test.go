package claim_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
)

// The connection breaks when the transaction has committed and before anybody is told: the operation is tried
// again inside the request, does nothing twice, and is answered as what it was.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(r *rig, h held, lose func()){
		"claim": func(r *rig, _ held, lose func()) {
			r.spawn("another")
			lose()
			another := r.claim("another", 1)
			require.Equal(r.t, "active", r.status(another))
			require.Equal(r.t, 2, value[int](r, `SELECT count(*) FROM wakelatch.consumer_claims`))
		},
		"confirm": func(r *rig, h held, lose func()) {
			lose()
			writeToken, err := r.claims.Confirm(r.t.Context(), h.Key)
			require.NoError(r.t, err, "its own first attempt is no second process")
			require.NotEmpty(r.t, writeToken)
			_, err = r.claims.Confirm(r.t.Context(), h.Key)
			require.ErrorIs(r.t, err, claim.ErrAlreadyConfirmed)
			require.Equal(r.t, 1, value[int](r, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'confirmed'`))
		},
		"heartbeat": func(r *rig, h held, lose func()) {
			lose()
			_, err := r.claims.Heartbeat(r.t.Context(), h.Key)
			require.NoError(r.t, err)
		},
		"done": func(r *rig, h held, lose func()) {
			lose()
			r.done(h, false)
			require.Equal(r.t, 1, value[int](r, `SELECT count(*) FROM river_job`), "one done, one job")
			require.Equal(r.t, 1, value[int](r, `SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'done'`))
			r.release(h)
			require.Equal(r.t, "released", r.status(h))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c cut
			r := newRig(t, func(o *claim.Options) { o.Pool = c.pool(t, o.Pool.Config()) })
			h := r.claimed(1)[0]
			run(r, h, func() { c.armed.Store(true) })
			require.False(t, c.armed.Load(), "the answer was not lost")
			r.consistent()
		})
	}
}

// cut loses the answer to one transaction, and the connection it came by. Those before it may pass.
type cut struct {
	armed  atomic.Bool
	passes atomic.Int32
}

// pool is a pool like another one, whose connections may be cut.
func (c *cut) pool(t *testing.T, like *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	dial := like.ConnConfig.DialFunc
	like.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &cutConn{Conn: conn, cut: c}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), like)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

type cutConn struct {
	net.Conn
	cut    *cut
	answer []byte
}

// idle is the message that the server is ready again and in no transaction.
var idle = []byte{'Z', 0, 0, 0, 5, 'I'}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.answer = append(c.answer, b[:n]...)
	if !bytes.HasSuffix(c.answer, idle) {
		return n, err
	}
	// A statement that is only being prepared has run nothing.
	ran := bytes.Contains(c.answer, []byte("SELECT ")) || bytes.Contains(c.answer, []byte("COMMIT"))
	c.answer = nil
	if ran && c.cut.armed.Load() && c.cut.passes.Add(-1) < 0 && c.cut.armed.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
