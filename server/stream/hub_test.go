package stream_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func ready(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestHubWakesOnNewsOnly(t *testing.T) {
	n := open(t)
	watch := n.hub.WatchStream(tenant, "a")
	defer watch.Close()
	other := n.hub.WatchEntity(tenant, "a")
	defer other.Close()
	hint := func(number int64) bool {
		n.hub.Notify(notify.Event{Kind: notify.KindTail, Tenant: tenant, Key: "a", Number: number})
		return ready(watch.C())
	}
	watch.Saw(5)
	require.False(t, hint(5), "it is known")
	require.True(t, hint(6))
	require.False(t, hint(6), "it was told")
	n.hub.StreamChanged(tenant, "a", 9)
	require.True(t, ready(watch.C()))
	require.False(t, hint(9), "the echo of its own news tells nothing")
	require.True(t, hint(-1), "deleted")
	require.True(t, hint(2), "made anew")
	n.hub.StreamChanged("other", "a", 99)
	n.hub.StreamChanged(tenant, "b", 99)
	require.False(t, ready(watch.C()))
	require.False(t, ready(other.C()))
	n.hub.EntityChanged(tenant, "a", 2)
	require.True(t, ready(other.C()))
	n.hub.WakeAll()
	require.True(t, ready(watch.C()))
	require.True(t, ready(other.C()))
}

// A reader that has read further than another one knows of news that the other does not: when the hint of it comes
// it is known here, and wakes nobody.
func TestWhatOneReaderSawIsNewsToTheOthers(t *testing.T) {
	db := dbtest.New(t)
	a, b := start(t, db.Pool), start(t, db.Pool)
	a.create("notes", "text/plain")
	early := b.poll(t.Context(), "notes", 0)
	b.awaitSeen("notes")
	out := a.append(text("notes", "hello"))
	late := b.hub.WatchStream(tenant, "notes")
	defer late.Close()
	late.Saw(int64(out.End))
	b.hub.Notify(notify.Event{Kind: notify.KindTail, Tenant: tenant, Key: "notes", Number: int64(out.End)})
	require.Equal(t, "hello", string(early.ended(t).Render()))
}

func TestAppendsTellOtherNodes(t *testing.T) {
	db := dbtest.New(t)
	a, b := start(t, db.Pool), start(t, db.Pool)
	a.create("notes", "text/plain")
	p := b.poll(t.Context(), "notes", stream.Now)
	b.awaitSeen("notes")
	a.append(text("notes", "hello"))
	want := notify.Event{Kind: notify.KindTail, Tenant: tenant, Key: "notes", Number: 5}
	require.Contains(t, a.said.all(), want)
	b.hub.Notify(want)
	require.Equal(t, "hello", string(p.ended(t).Render()))
}

// With every hint lost, the reconcile alone finds what its node's readers wait for.
func TestReconcileFindsWhatHintsLost(t *testing.T) {
	db := dbtest.New(t)
	a, b := start(t, db.Pool), start(t, db.Pool)
	a.create("notes", "text/plain")
	a.create("quiet", "text/plain")
	a.exec(`INSERT INTO wakelatch.entities (tenant_id, url, type, created_by, spawn_txid) VALUES ($1, '/demo/one', 'demo', 'x', '1')`, tenant)
	p, quiet := b.poll(t.Context(), "notes", 0), b.hub.WatchStream(tenant, "quiet")
	defer quiet.Close()
	quiet.Saw(0)
	entity := b.hub.WatchEntity(tenant, "/demo/one")
	defer entity.Close()
	entity.Saw(1)
	b.awaitSeen("notes")
	require.NoError(t, b.hub.Reconcile(t.Context()))
	require.Zero(t, b.found("tail")+b.found("entity"))

	a.append(text("notes", "hello"))
	a.exec(`UPDATE wakelatch.entities SET version = 2`)
	require.NoError(t, b.hub.Reconcile(t.Context()))
	require.Equal(t, "hello", string(p.ended(t).Render()))
	require.True(t, ready(entity.C()))
	require.False(t, ready(quiet.C()))
	require.Equal(t, 1, b.found("tail"))
	require.Equal(t, 1, b.found("entity"))

	require.NoError(t, b.hub.Reconcile(t.Context()), "found once")
	require.Equal(t, 1, b.found("entity"))
	require.NoError(t, a.Delete(t.Context(), key("quiet")))
	require.NoError(t, b.hub.Reconcile(t.Context()))
	require.True(t, ready(quiet.C()), "what is gone is worth a look")
}
