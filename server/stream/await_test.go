package stream_test

import (
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// eventually polls for what has no signal of its own.
func (n *node) eventually(condition func() bool, what string) {
	n.t.Helper()
	require.Eventually(n.t, condition, 10*time.Second, 2*time.Millisecond, what)
}

// awaitLockWaiter waits until a session of the database waits for a lock.
func (n *node) awaitLockWaiter() {
	n.t.Helper()
	n.eventually(func() bool {
		return n.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	}, "nobody waits for a lock")
}

// awaitSeen waits until a reader has looked at the stream and waits for more.
func (n *node) awaitSeen(path string) {
	n.t.Helper()
	n.eventually(func() bool { return n.hub.Seen(tenant, path) }, "nobody waits for the stream")
}

func (n *node) family(name string) []*dto.Metric {
	n.t.Helper()
	families, err := n.registry.Gather()
	require.NoError(n.t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	require.Fail(n.t, "no such metric", name)
	return nil
}

func (n *node) gauge(name string) int { return int(n.family(name)[0].GetGauge().GetValue()) }

func (n *node) counter(name string) int { return int(n.family(name)[0].GetCounter().GetValue()) }

func (n *node) labelled(name, label string) int {
	for _, m := range n.family(name) {
		if m.GetLabel()[0].GetValue() == label {
			return int(m.GetCounter().GetValue())
		}
	}
	return 0
}

func (n *node) found(kind string) int { return n.labelled("wakelatch_reconcile_found_total", kind) }
