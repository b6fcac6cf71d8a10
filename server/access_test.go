package server_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const certificateWaits = 100 * time.Millisecond

// authority makes certificates of 127.0.0.1 and puts them where a node looks for them.
type authority struct {
	t         *testing.T
	cert, key string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	dir := t.TempDir()
	return &authority{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
}

// issue replaces the pair, each file in one step, by one with this serial number.
func (a *authority) issue(serial int64) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "node"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.replace(a.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	a.replace(a.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func (a *authority) replace(path string, content []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(path+".new", content, 0o600))
	require.NoError(a.t, os.Rename(path+".new", path))
}

func (a *authority) access(o *server.Options) { o.Access.TLSCert, o.Access.TLSKey = a.cert, a.key }

// trusting takes any certificate: what the tests ask is which one it is.
func trusting(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own certificates
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// serial is the serial number of the certificate that a new connection is shown.
func serial(t *testing.T, s *server.Server) int64 {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the test's own certificates
	connection, err := dialer.DialContext(t.Context(), "tcp", s.Addr())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	secured, ok := connection.(*tls.Conn)
	require.True(t, ok)
	return secured.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestCertificateIsReplacedUnderOpenTraffic(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(1)
	s := start(t, dbtest.New(t), a.access)
	require.True(t, strings.HasPrefix(s.PublicURL(), "https://"))
	require.EqualValues(t, 1, serial(t, s))

	// Requests go on all the time, on connections that stay and on new ones.
	ctx, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	for i := range 4 {
		client := trusting(t)
		traffic.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, s.URL()+"/readyz", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				r.Close = i%2 == 0
				resp, err := client.Do(r)
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	a.issue(2)
	require.Eventually(t, func() bool { return serial(t, s) == 2 }, patience, certificateWaits)

	// A pair that does not fit changes nothing, and the next good one does.
	a.replace(a.key, []byte("nothing"))
	require.Never(t, func() bool { return serial(t, s) != 2 }, 1500*time.Millisecond, certificateWaits)
	require.NoError(t, os.Remove(a.cert))
	a.issue(3)
	require.Eventually(t, func() bool { return serial(t, s) == 3 }, patience, certificateWaits)
	stop()
	traffic.Wait()
}

func TestABadCertificateStopsTheStart(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(1)
	a.replace(a.key, []byte("nothing"))
	o := server.Options{DatabaseURL: dbtest.New(t).DSN}
	a.access(&o)
	s, err := server.New(o)
	require.NoError(t, err)
	require.ErrorContains(t, s.Start(t.Context()), a.cert)

	_, err = server.New(server.Options{DatabaseURL: "x", Access: server.Access{TLSCert: a.cert, RateLimit: 1, Auth: "magic"}})
	require.ErrorContains(t, err, "set together")
	require.ErrorContains(t, err, "rate limit is per key")
	require.ErrorContains(t, err, `auth "magic" is unknown`)
}

func TestMetricsHaveAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	s := start(t, d, func(o *server.Options) { o.Access.MetricsListen = "127.0.0.1:0" })
	must(t, s, 404, "GET", "/metrics", "")
	status := func(path string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.MetricsAddr()+path, http.NoBody)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		require.Equal(t, 200, status(path), path)
	}
	for _, path := range []string{"/_electric/runners", "/v1/stream/a", "/demo/one/main"} {
		require.Equal(t, 404, status(path), "nothing else is at that address: %s", path)
	}
	must(t, start(t, d), 200, "GET", "/metrics", "")
	must(t, start(t, d, func(o *server.Options) { o.Access.Auth = server.AuthKeys }), 404, "GET", "/metrics", "")
}

// raw sends bytes and returns all that comes back until the node ends the connection.
func raw(t *testing.T, s *server.Server, text string) string {
	t.Helper()
	var dialer net.Dialer
	connection, err := dialer.DialContext(t.Context(), "tcp", s.Addr())
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(connection, text)
	require.NoError(t, err)
	answer, err := io.ReadAll(bufio.NewReader(connection))
	require.NoError(t, err, "the node ends the connection")
	return string(answer)
}

func TestOneRequestTakesOnlySoMuch(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.New(t), func(o *server.Options) {
		o.MaxBody, o.RideOut = 1000, 50*time.Millisecond
		o.Access.MaxHeaderBytes, o.Access.ReadHeaderTimeout, o.Access.IdleTimeout = 8<<10, 200*time.Millisecond, 200*time.Millisecond
		o.Access.RequestTimeout = 300 * time.Millisecond
	})
	request := "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s"
	wide := "X-Wide: " + strings.Repeat("x", 16<<10) + "\r\n"
	require.Contains(t, raw(t, s, fmt.Sprintf(request, "GET /readyz", wide, "")), "HTTP/1.1 431 ")

	long := raw(t, s, fmt.Sprintf(request, "POST /_electric/runners", "Content-Length: 2000\r\nConnection: close\r\n", `{"id":"`+strings.Repeat("x", 1991)+`"}`))
	require.Contains(t, long, "HTTP/1.1 413 ")
	require.Contains(t, long, "BODY_TOO_LARGE")

	slow := raw(t, s, fmt.Sprintf(request, "POST /_electric/runners", "Content-Length: 100\r\n", "{"))
	require.Contains(t, slow, "HTTP/1.1 408 ")
	require.Contains(t, slow, "REQUEST_TIMEOUT")

	require.Empty(t, raw(t, s, "GET /readyz HTTP/1.1\r\nHost: local"), "a header that does not end is given up")
	idle := raw(t, s, fmt.Sprintf(request, "GET /readyz", "", ""))
	require.Contains(t, idle, "HTTP/1.1 200 ", "and so is a connection that nothing comes on any more")
}
