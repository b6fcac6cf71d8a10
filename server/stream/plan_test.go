package stream_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestAnAppendIsOneRoundTrip(t *testing.T) {
	db := dbtest.New(t)
	pool, tracer := traced(t, db.DSN)
	n := start(t, pool)
	n.create("notes", "text/plain")
	n.append(text("notes", "prepares the statements"))
	tracer.take()

	n.append(text("notes", "x"))
	batches, singles, sent := tracer.take()
	require.Equal(t, 1, batches)
	require.Zero(t, singles)
	require.Len(t, sent, 2)

	n.read("notes", 0)
	tracer.take()
	n.read("notes", 0)
	batches, singles, _ = tracer.take()
	require.Equal(t, 1, batches+singles)
}

// While one transaction waits, what arrives goes together in the next.
func TestABatchOfAppendsIsOneRoundTrip(t *testing.T) {
	const together = 50
	db := dbtest.New(t)
	pool, tracer := traced(t, db.DSN)
	n := start(t, pool)
	for i := range together {
		n.create(fmt.Sprintf("notes%d", i), "text/plain")
	}
	n.append(text("notes0", "prepares the statements"))

	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT 1 FROM wakelatch.streams WHERE path = 'notes0' FOR UPDATE`)
	require.NoError(t, err)
	tracer.take()
	var all sync.WaitGroup
	errs := make([]error, together)
	begun := make(chan struct{}, together)
	for i := range together {
		all.Go(func() {
			begun <- struct{}{}
			_, errs[i] = n.Append(t.Context(), text(fmt.Sprintf("notes%d", i), "x"))
		})
	}
	for range together {
		<-begun
	}
	n2 := &node{t: t, pool: db.Pool}
	n2.awaitLockWaiter()
	require.NoError(t, tx.Rollback(t.Context()))
	all.Wait()
	require.Equal(t, make([]error, together), errs)
	batches, singles, _ := tracer.take()
	require.Less(t, batches, together/5, "appends that arrive at the same time share transactions")
	require.Zero(t, singles)
}

// The hot statements find their rows by index, however many streams there are.
func TestHotStatementsUseIndexes(t *testing.T) {
	db := dbtest.New(t)
	pool, tracer := traced(t, db.DSN)
	n := start(t, pool)
	n.exec(`INSERT INTO wakelatch.streams (tenant_id, path, content_type, tail)
		SELECT 'default', 's' || i, 'text/plain', 100 FROM generate_series(1, 20000) i`)
	n.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body, key)
		SELECT 'default', 's' || i, o * 10, 'x', 'k' || i || '.' || o FROM generate_series(1, 20000) i, generate_series(1, 3) o`)
	n.exec(`INSERT INTO wakelatch.stream_producers (tenant_id, stream_path, producer_id, epoch, last_seq, end_offset)
		SELECT 'default', 's' || i, 'p', 0, 0, 10 FROM generate_series(1, 20000) i`)
	n.exec(`ANALYZE wakelatch.streams, wakelatch.stream_messages, wakelatch.stream_producers`)
	tracer.take()

	n.append(produced(text("s1", "x"), "q", 0, 0))
	n.read("s2", 5)
	watch := n.hub.WatchStream(tenant, "s3")
	defer watch.Close()
	watch.Saw(0)
	require.NoError(t, n.hub.Reconcile(t.Context()))
	_, _, sent := tracer.take()
	require.GreaterOrEqual(t, len(sent), 5)
	for _, s := range sent {
		rows, err := db.Pool.Query(t.Context(), "EXPLAIN "+s.sql, s.args...)
		require.NoError(t, err)
		var plan strings.Builder
		for rows.Next() {
			var line string
			require.NoError(t, rows.Scan(&line))
			plan.WriteString(line + "\n")
		}
		require.NoError(t, rows.Err())
		require.NotContains(t, plan.String(), "Seq Scan", "%s\n%s", s.sql, plan.String())
	}
}
