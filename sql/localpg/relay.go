package localpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxArchive is several times the size of the largest archive there is.
const maxArchive = 512 << 20

// relay stands between the fetching library and a repository. The library has no time-out, knows no context and goes on
// without a checksum when the repository has none; what it is given here has been checked.
type relay struct {
	url        string
	repository string
	client     *http.Client
	server     *http.Server
	served     chan error

	mu  sync.Mutex
	err error // the first thing that went wrong
}

func startRelay(ctx context.Context, repository string) (*relay, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // a loopback address needs no name service to wait for.
	if err != nil {
		return nil, fmt.Errorf("listen for the fetching library: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	transport.ResponseHeaderTimeout = 30 * time.Second
	r := &relay{
		url:        "http://" + listener.Addr().String(),
		repository: strings.TrimSuffix(repository, "/"),
		client:     &http.Client{Transport: transport},
		served:     make(chan error, 1),
	}
	r.server = &http.Server{
		Handler:           r,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	r.server.SetKeepAlivesEnabled(false)
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// stop returns what went wrong between the library and the repository.
func (r *relay) stop() error {
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	r.client.CloseIdleConnections()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.err, err)
}

// ServeHTTP answers the two requests of the library: an archive, and its checksum, which it compares once more.
func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	archive := strings.TrimSuffix(req.URL.Path, ".sha256")
	sum, err := r.checksum(req.Context(), archive)
	body := []byte(sum)
	if err == nil && archive == req.URL.Path {
		body, err = r.archive(req.Context(), archive, sum)
	}
	if err != nil {
		r.mu.Lock()
		if r.err == nil {
			r.err = err
		}
		r.mu.Unlock()
		http.Error(w, "see the log of the caller", http.StatusBadGateway)
		return
	}
	_, _ = w.Write(body) //nolint:gosec // the reader is the library, which notices what is missing.
}

func (r *relay) archive(ctx context.Context, path, sum string) ([]byte, error) {
	body, err := r.get(ctx, path)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(body); hex.EncodeToString(got[:]) != sum {
		return nil, fmt.Errorf("checksum of %s%s is %x and should be %s; the archive is not used", r.repository, path, got, sum)
	}
	return body, nil
}

func (r *relay) checksum(ctx context.Context, path string) (string, error) {
	body, err := r.get(ctx, path+".sha256")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(body))
	if len(fields) == 0 || len(fields[0]) != hex.EncodedLen(sha256.Size) {
		return "", fmt.Errorf("%s%s.sha256 is no checksum", r.repository, path)
	}
	return strings.ToLower(fields[0]), nil
}

func (r *relay) get(ctx context.Context, path string) ([]byte, error) {
	url := r.repository + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil) //nolint:gosec // the user chooses the repository.
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	res, err := r.client.Do(req) //nolint:gosec // the user chooses the repository.
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: it answers %s", url, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxArchive))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	return body, nil
}
