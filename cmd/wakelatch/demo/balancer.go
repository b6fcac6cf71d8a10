package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxBody       = 8 << 20
	callbacks     = "/_electric/wake-callbacks/"
	headerTimeout = 10 * time.Second
)

// Balancer passes requests to nodes in turn. A request that a node never got, because nobody listened there, goes
// to the next one; any other failure is answered with 502, because the node may have done what it was asked.
type Balancer struct {
	nodes     []*backend
	next      atomic.Uint64
	transport *http.Transport

	mu        sync.Mutex
	confirmed map[string]int // wake: the node that answered its confirm
}

type backend struct {
	address atomic.Pointer[string]
	answers atomic.Int64
}

// NewBalancer makes one for a number of nodes, none of which has an address yet.
func NewBalancer(nodes int) *Balancer {
	b := &Balancer{confirmed: map[string]int{}, transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	for range nodes {
		b.nodes = append(b.nodes, &backend{})
	}
	return b
}

// Place says where a node is.
func (b *Balancer) Place(node int, address string) { b.nodes[node].address.Store(&address) }

// Answered is how many requests a node has answered.
func (b *Balancer) Answered(node int) int64 { return b.nodes[node].answers.Load() }

// ConfirmedBy is the node that answered the confirm of a wake's claim.
func (b *Balancer) ConfirmedBy(wake string) (node int, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	node, known = b.confirmed[wake]
	return node, known
}

// Serve answers requests until ctx ends, which cuts off those that are under way.
func (b *Balancer) Serve(ctx context.Context, l net.Listener) error {
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		// The request keeps its Host, which is that of the nodes' public URL.
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "nodes" },
		Transport:     b,
		FlushInterval: -1,
		ErrorLog:      quiet,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, err error) { answerBadGateway(w, err) },
	}
	server := &http.Server{
		ReadHeaderTimeout: headerTimeout, ErrorLog: quiet,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
			if err != nil {
				answerBadGateway(w, err)
				return
			}
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			r.Body = io.NopCloser(bytes.NewReader(body))
			proxy.ServeHTTP(w, r)
		}),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	defer b.transport.CloseIdleConnections()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func answerBadGateway(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadGateway)
	// Who has gone needs no answer.
	_, _ = fmt.Fprintf(w, `{"error":{"code":"BAD_GATEWAY","message":%q}}`, "no node answered: "+err.Error()+"; try again")
}

var errNoNode = errors.New("no node can be reached")

// RoundTrip sends a request to the next node that takes it.
func (b *Balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	first := b.next.Add(1)
	for i := range b.nodes {
		node := int((first + uint64(i)) % uint64(len(b.nodes))) //nolint:gosec // both are small
		address := b.nodes[node].address.Load()
		if address == nil {
			continue
		}
		out := r.Clone(r.Context())
		out.URL.Host = *address
		var err error
		if out.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
		answer, err := b.transport.RoundTrip(out)
		if err != nil && neverReached(err) {
			continue
		}
		if err == nil {
			b.note(node, r, answer.StatusCode)
		}
		return answer, err
	}
	return nil, errNoNode
}

// neverReached says whether a request failed before there was a connection for it.
func neverReached(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}

// note counts the answer, and remembers who answered the confirm of a claim: the callback that names its wake.
func (b *Balancer) note(node int, r *http.Request, status int) {
	b.nodes[node].answers.Add(1)
	wake, callback := strings.CutPrefix(r.URL.Path, callbacks)
	if !callback || status != http.StatusOK {
		return
	}
	var said struct {
		WakeID string `json:"wakeId"`
	}
	body, err := r.GetBody()
	if err != nil || json.NewDecoder(body).Decode(&said) != nil || said.WakeID == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.confirmed[wake] = node
}
