package entity_test

import (
	"bytes"
	"io"
	"net"
	neturl "net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/pg"
)

// cut is a way to the database that can be cut just when a transaction has committed and nobody was told.
type cut struct {
	listener net.Listener
	server   string
	conns    sync.WaitGroup

	mu    sync.Mutex
	after []byte // a part of the answer that is withheld; nil while not armed
	cuts  int
}

// throughCut is a pool of its own whose connections can be cut.
func throughCut(t *testing.T, dsn string) (*cut, *pgxpool.Pool) {
	t.Helper()
	u, err := neturl.Parse(dsn)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cut{listener: listener, server: u.Host}
	c.conns.Go(c.accept)
	u.Host = listener.Addr().String()
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: u.String(), ApplicationName: "cut"})
	require.NoError(t, err)
	t.Cleanup(func() {
		pool.Close()
		_ = listener.Close()
		c.conns.Wait()
	})
	return c, pool
}

// arm withholds the next answer that ends a transaction and has this command tag in it.
func (c *cut) arm(tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = []byte(tag)
}

func (c *cut) happened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}

// committed is the message that the server is ready again and in no transaction.
var committed = []byte{'Z', 0, 0, 0, 5, 'I'}

// fires tells whether the answer so far is the one to withhold.
func (c *cut) fires(answer []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fires := c.after != nil && bytes.HasSuffix(answer, committed) && bytes.Contains(answer, c.after)
	if fires {
		c.after = nil
		c.cuts++
	}
	return fires
}

func (c *cut) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server) //nolint:noctx // ends with its listener
		if err != nil {
			_ = client.Close()
			continue
		}
		c.conns.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		c.conns.Go(func() { c.answers(client, server) })
	}
}

func (c *cut) answers(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	var answer []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if answer = append(answer, buf[:n]...); err != nil || c.fires(answer) {
			return
		}
		if bytes.HasSuffix(answer, committed) {
			answer = answer[:0]
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}
