package stream_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

const tenant = "default"

// node is a stream service and its hub. Its hints go nowhere: what readers of another node learn, they
// learn by themselves or are told by the test.
type node struct {
	*stream.Service
	t        testing.TB
	pool     *pgxpool.Pool
	hub      *stream.Hub
	said     *hints
	registry *prometheus.Registry
}

// hints keeps what a node would tell others.
type hints struct {
	mu     sync.Mutex
	events []notify.Event
}

func (h *hints) Publish(events ...notify.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, events...)
}

func (h *hints) all() []notify.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]notify.Event(nil), h.events...)
}

func open(tb testing.TB) *node {
	tb.Helper()
	return start(tb, dbtest.New(tb).Pool)
}

func start(tb testing.TB, pool *pgxpool.Pool, change ...func(*stream.Options)) *node {
	tb.Helper()
	n := &node{t: tb, pool: pool, said: &hints{}, registry: prometheus.NewRegistry()}
	n.hub = stream.NewHub(stream.HubOptions{Pool: pool, Publisher: n.said, Registerer: n.registry})
	o := stream.Options{
		Pool: pool, Hub: n.hub, Registerer: n.registry, LongPoll: 20 * time.Second,
		Logger: slog.New(slog.NewTextHandler(tb.Output(), nil)),
	}
	for _, f := range change {
		f(&o)
	}
	n.Service = stream.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-ended)
	})
	return n
}

func key(path string) stream.Key { return stream.Key{Tenant: tenant, Path: stream.Path(path)} }

func (n *node) create(path, contentType string) {
	n.t.Helper()
	_, err := n.Create(n.t.Context(), stream.CreateRequest{Key: key(path), ContentType: contentType})
	require.NoError(n.t, err)
}

// main makes an entity's main stream as other packages do, held by (consumer, epoch).
func (n *node) main(path, consumer string, epoch int64) {
	n.t.Helper()
	n.exec(`INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type, claim_consumer_id, claim_epoch)
		VALUES ($1, $2, 'main', 'application/json', $3, $4)`, tenant, path, consumer, epoch)
}

func (n *node) exec(sql string, args ...any) {
	n.t.Helper()
	_, err := n.pool.Exec(n.t.Context(), sql, args...)
	require.NoError(n.t, err)
}

func (n *node) count(sql string, args ...any) int {
	n.t.Helper()
	var out int
	require.NoError(n.t, n.pool.QueryRow(n.t.Context(), sql, args...).Scan(&out))
	return out
}

func (n *node) read(path string, from stream.Offset) *stream.Page {
	n.t.Helper()
	page, err := n.Read(n.t.Context(), stream.ReadRequest{Key: key(path), From: from})
	require.NoError(n.t, err)
	return page
}

// content is all that a reader gets, from the beginning.
func (n *node) content(path string) string {
	n.t.Helper()
	return string(n.read(path, stream.Beginning).Render())
}

func text(path, body string) stream.AppendRequest {
	return stream.AppendRequest{Key: key(path), ContentType: "text/plain", Body: []byte(body)}
}

func jsonBody(path, body string) stream.AppendRequest {
	return stream.AppendRequest{Key: key(path), ContentType: "application/json", Body: []byte(body)}
}

func produced(req stream.AppendRequest, id string, epoch, seq int64) stream.AppendRequest {
	req.Producer = &stream.Producer{ID: id, Epoch: epoch, Seq: seq}
	return req
}

func held(req stream.AppendRequest, consumer string, epoch int64) stream.AppendRequest {
	req.Holder = &stream.Holder{Consumer: consumer, Epoch: epoch}
	return req
}

func (n *node) append(req stream.AppendRequest) stream.Appended {
	n.t.Helper()
	out, err := n.Append(n.t.Context(), req)
	require.NoError(n.t, err)
	return out
}

func (n *node) refused(req stream.AppendRequest, want error) {
	n.t.Helper()
	_, err := n.Append(n.t.Context(), req)
	require.ErrorIs(n.t, err, want)
}
