package stream

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/sql/db"
)

// What a stream's changes are counted by: its tail, and once it is closed a number above every tail. The number of a deleted
// stream is numberGone.
const (
	numberClosed int64 = 1 << 62
	numberGone   int64 = -1
)

func number(tail int64, closed bool) int64 {
	if closed {
		return numberClosed | tail
	}
	return tail
}

// Publisher tells other nodes. It must not block; *notify.Publisher is one.
type Publisher interface {
	Publish(events ...notify.Event)
}

// HubOptions are what a Hub needs. All are required.
type HubOptions struct {
	Pool       *pgxpool.Pool
	Publisher  Publisher
	Registerer prometheus.Registerer
}

// Hub brings news to whoever waits: that a stream grew, that an entity has a newer version. Local waiters are
// woken in memory, those of other nodes by a hint that the [Publisher] sends. Whoever changes a row says so here
// after its commit. News wakes a waiter at least once for each number it did not know; it never blocks.
type Hub struct {
	pool      *pgxpool.Pool
	publisher Publisher
	queries   *db.Queries
	found     map[notify.Kind]prometheus.Counter

	streams  *topic
	entities *topic
}

// NewHub makes a Hub.
func NewHub(o HubOptions) *Hub {
	found := promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "wakelatch_reconcile_found_total",
		Help: "News that reached a waiter by the reconcile and not by a hint. A hint still under way is counted too.",
	}, []string{"kind"})
	return &Hub{
		pool:      o.Pool,
		publisher: o.Publisher,
		queries:   db.New(),
		found: map[notify.Kind]prometheus.Counter{
			notify.KindTail:   found.WithLabelValues(string(notify.KindTail)),
			notify.KindEntity: found.WithLabelValues(string(notify.KindEntity)),
		},
		streams:  newTopic(),
		entities: newTopic(),
	}
}

// StreamChanged says that a commit moved the stream's tail.
func (h *Hub) StreamChanged(tenant, path string, tail int64) { h.streamChanged(tenant, path, tail) }

// EntityChanged says that a commit raised the entity's version.
func (h *Hub) EntityChanged(tenant, url string, version int64) {
	h.entities.announce(topicKey{tenant, url}, version)
	h.publisher.Publish(notify.Event{Kind: notify.KindEntity, Tenant: tenant, Key: url, Number: version})
}

// StreamGone says that a commit deleted the stream: whoever waits for it looks again and finds that.
func (h *Hub) StreamGone(tenant, path string) { h.streamChanged(tenant, path, numberGone) }

// EntityGone says that a commit deleted the entity.
func (h *Hub) EntityGone(tenant, url string) { h.EntityChanged(tenant, url, numberGone) }

func (h *Hub) streamChanged(tenant, path string, n int64) {
	h.streams.announce(topicKey{tenant, path}, n)
	h.publisher.Publish(notify.Event{Kind: notify.KindTail, Tenant: tenant, Key: path, Number: n})
}

// Notify takes a hint from another node, or the echo of an own one. Kinds that are not the Hub's are ignored.
func (h *Hub) Notify(e notify.Event) {
	switch e.Kind {
	case notify.KindTail:
		h.streams.hint(topicKey{e.Tenant, e.Key}, e.Number)
	case notify.KindEntity:
		h.entities.hint(topicKey{e.Tenant, e.Key}, e.Number)
	case notify.KindClaim:
	}
}

// WakeAll makes every waiter look again: any number of hints may have been missed.
func (h *Hub) WakeAll() {
	h.streams.waiters.WakeAll()
	h.entities.waiters.WakeAll()
}

// WatchStream begins to wait for a stream. Look at the row after it, not before.
func (h *Hub) WatchStream(tenant, path string) *Watch { return h.streams.watch(topicKey{tenant, path}) }

// WatchEntity begins to wait for an entity. Look at the row after it, not before.
func (h *Hub) WatchEntity(tenant, url string) *Watch { return h.entities.watch(topicKey{tenant, url}) }
