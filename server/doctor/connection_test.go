package doctor_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/doctor"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestANotificationComesBack(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	o := doctor.Options{DatabaseURL: d.DSN}
	require.Equal(t, doctor.OK, examine(t, "listener", o).Status)
	require.Equal(t, doctor.OK, examine(t, "pooler", o).Status)

	o.ListenDatabaseURL = "postgres://127.0.0.1:1/x?sslmode=disable"
	require.Contains(t, examine(t, "listener", o).Summary, "leads nowhere")
	o.ListenDatabaseURL = dbtest.New(t).DSN
	f := examine(t, "listener", o)
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "lead to different databases: "+d.Name)
}

func TestAPoolerInTheWay(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	deaf, session := pooler(t, d.DSN, true), pooler(t, d.DSN, false)

	f := examine(t, "pooler", doctor.Options{DatabaseURL: deaf, ListenDatabaseURL: d.DSN})
	require.Equal(t, doctor.OK, f.Status, "the pool may go through one")
	require.Contains(t, f.Summary, "the pool goes through a pooler")

	o := doctor.Options{DatabaseURL: deaf}
	f = examine(t, "pooler", o)
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "--listen-database-url")
	f = examine(t, "listener", o)
	require.Equal(t, doctor.Fail, f.Status)
	require.Contains(t, f.Summary, "no notification came")

	f = examine(t, "pooler", doctor.Options{DatabaseURL: session})
	require.Equal(t, doctor.Warn, f.Status, "session pooling lets notifications through")
}

// pooler stands between a client and Postgres and hands out a process id of its own. A deaf one loses notifications,
// as one that pools transactions does.
func pooler(t *testing.T, dsn string, deaf bool) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	to := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lives as long as the test
	require.NoError(t, err)
	var open sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		open.Wait()
	})
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to) //nolint:noctx // it ends with its client
			if err != nil {
				_ = client.Close()
				continue
			}
			open.Go(func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			})
			open.Go(func() {
				_ = relay(client, server, deaf)
				_ = client.Close()
			})
		}
	})
	u.Host = listener.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return u.String()
}

// relay passes Postgres' messages on: a type, a length and a body each.
func relay(client io.Writer, server io.Reader, deaf bool) error {
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(server, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return errors.Join(io.ErrUnexpectedEOF, err)
		}
		switch head[0] {
		case 'K': // the key that cancels, which begins with the process id
			binary.BigEndian.PutUint32(body, 4711)
		case 'A': // a notification
			if deaf {
				continue
			}
		}
		if _, err := client.Write(append(head, body...)); err != nil {
			return err
		}
	}
}
