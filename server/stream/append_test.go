package stream_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/stream"
)

func TestAppendMovesTheTailByItsSize(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	require.Equal(t, stream.Appended{End: 3}, n.append(text("notes", "abc")))
	require.Equal(t, stream.Appended{End: 8}, n.append(text("notes", "defgh")))
	require.Equal(t, "abcdefgh", n.content("notes"))

	n.create("items", "application/json; charset=utf-8")
	first := n.append(jsonBody("items", `[{"a":1}, 2]`))
	require.EqualValues(t, len(`{"a":1}`)+1+len(`2`)+1, first.End)
	n.append(jsonBody("items", `{"headers":{"operation":"insert"}}`))
	require.JSONEq(t, fmt.Sprintf(`[{"a":1},2,{"headers":{"offset":"%016d","operation":"insert"}}]`, n.read("items", 0).Tail), n.content("items"))
}

func TestAppendRefusals(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	n.create("items", "application/json")
	n.refused(text("absent", "x"), stream.ErrNotFound)
	n.refused(stream.AppendRequest{Key: stream.Key{Tenant: "other", Path: "notes"}, ContentType: "text/plain", Body: []byte("x")}, stream.ErrNotFound)
	n.refused(jsonBody("notes", `1`), stream.ErrContentTypeMismatch)
	n.refused(text("items", `1`), stream.ErrContentTypeMismatch)
	for field, req := range map[string]stream.AppendRequest{
		"body":           text("notes", ""),
		"Content-Type":   {Key: key("notes"), Body: []byte("x")},
		"Producer-Id":    produced(text("notes", "x"), "", 0, 0),
		"Producer-Epoch": produced(text("notes", "x"), "p", -1, 0),
		"Producer-Seq":   produced(text("notes", "x"), "p", 0, stream.MaxProducerNumber+1),
		"Stream-Seq":     {Key: key("notes"), ContentType: "text/plain", Body: []byte("x"), StreamSeq: strings.Repeat("s", 257)},
	} {
		_, err := n.Append(t.Context(), req)
		var invalid *stream.InvalidError
		require.ErrorAs(t, err, &invalid, field)
		require.Equal(t, field, invalid.Field)
	}
	_, err := n.Append(t.Context(), jsonBody("items", `[]`))
	require.ErrorContains(t, err, "must not be empty")
	require.Empty(t, n.content("notes"))
	require.Equal(t, "[]", n.content("items"))
}

func TestAppendByProducer(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	step := func(epoch, seq int64, body string) (stream.Appended, error) {
		return n.Append(t.Context(), produced(text("notes", body), "p", epoch, seq))
	}
	gap := func(err error, expected, received int64) {
		var e *stream.ProducerGapError
		require.ErrorAs(t, err, &e)
		require.Equal(t, stream.ProducerGapError{Expected: expected, Received: received}, *e)
	}

	_, err := step(0, 1, "too early")
	gap(err, 0, 1)
	got, err := step(0, 0, "a")
	require.NoError(t, err)
	require.Equal(t, stream.Appended{End: 1}, got)
	got, err = step(0, 1, "b")
	require.NoError(t, err)
	require.Equal(t, stream.Appended{End: 2, ProducerSeq: 1}, got)

	got, err = step(0, 0, "a again")
	require.NoError(t, err)
	require.Equal(t, stream.Appended{End: 2, Duplicate: true, ProducerSeq: 1}, got)
	_, err = step(0, 3, "gap")
	gap(err, 2, 3)

	_, err = step(2, 1, "an epoch must begin at 0")
	var invalid *stream.InvalidError
	require.ErrorAs(t, err, &invalid)
	_, err = step(2, 0, "c")
	require.NoError(t, err)
	_, err = step(1, 0, "zombie")
	var stale *stream.ProducerStaleError
	require.ErrorAs(t, err, &stale)
	require.EqualValues(t, 2, stale.Epoch)

	_, err = n.Append(t.Context(), produced(text("notes", "d"), "q", 7, 0))
	require.NoError(t, err, "another producer begins at any epoch")
	require.Equal(t, "abcd", n.content("notes"))
}

func TestAppendStreamSeqGrows(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	seq := func(s, body string) stream.AppendRequest {
		req := text("notes", body)
		req.StreamSeq = s
		return req
	}
	n.append(seq("B", "1"))
	n.append(seq("a", "2")) // bytes decide, not a locale
	n.refused(seq("a", "x"), stream.ErrStreamSeq)
	n.refused(seq("Z", "x"), stream.ErrStreamSeq)
	n.append(text("notes", "3"))
	n.append(produced(seq("b", "4"), "p", 0, 0))
	again := n.append(produced(seq("b", "4"), "p", 0, 0))
	require.True(t, again.Duplicate, "a repeated append is no regression")
	require.Equal(t, "1234", n.content("notes"))
}

func TestAppendClosesTheStream(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	last := produced(text("notes", "end"), "p", 0, 0)
	last.Close = true
	require.Equal(t, stream.Appended{End: 3, Closed: true}, n.append(last))
	require.Equal(t, stream.Appended{End: 3, Closed: true, Duplicate: true}, n.append(last))
	_, err := n.Append(t.Context(), text("notes", "more"))
	var closed *stream.ClosedError
	require.ErrorAs(t, err, &closed)
	require.EqualValues(t, 3, closed.Tail)
	closeOnly := stream.AppendRequest{Key: key("notes"), Close: true}
	require.True(t, n.append(closeOnly).Closed, "closing again changes nothing")
	require.True(t, n.read("notes", 0).Closed)
	require.Equal(t, "end", n.content("notes"))

	n.create("empty", "text/plain")
	require.Equal(t, stream.Appended{Closed: true}, n.append(stream.AppendRequest{Key: key("empty"), Close: true}))
}

// Many writers share batches; each of them must be judged as if it were alone.
func TestAppendsInOneBatchAreJudgedEach(t *testing.T) {
	const writers, each = 8, 40
	n := open(t)
	n.create("notes", "text/plain")
	var all sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		all.Go(func() {
			for seq := range int64(each) {
				req := produced(text("notes", fmt.Sprintf("<%d.%d>", w, seq)), fmt.Sprint("p", w), 1, seq)
				if seq%2 == 1 {
					req = text("notes", fmt.Sprintf("<%d.%d>", w, seq))
				}
				if seq%2 == 0 {
					req.Producer.Seq = seq / 2
				}
				if _, err := n.Append(t.Context(), req); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	all.Wait()
	require.Empty(t, cmp.Diff(make([]error, writers), errs))

	content := n.content("notes")
	for w := range writers {
		at := -1
		for seq := range each {
			mark := fmt.Sprintf("<%d.%d>", w, seq)
			require.Equal(t, 1, strings.Count(content, mark), mark)
			require.Greater(t, strings.Index(content, mark), at, "a writer's appends keep their order")
			at = strings.Index(content, mark)
		}
	}
	require.EqualValues(t, len(content), n.read("notes", 0).Tail)
}

// A batch that waits for one stream's lock has not locked another that is made meanwhile. What somebody else appends to
// that one must not be written over: the batch is undone, and its items are tried alone.
func TestAStreamMadeBehindTheLockIsNotWrittenUnlocked(t *testing.T) {
	for name, late := range map[string]string{"another size": "late", "the same size": "laggard"} {
		t.Run(name, func(t *testing.T) { writeBehindTheLock(t, late) })
	}
}

func writeBehindTheLock(t *testing.T, late string) {
	t.Helper()
	n := open(t)
	n.create("busy", "text/plain")
	busy, err := n.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = busy.Exec(t.Context(), `SELECT 1 FROM wakelatch.streams WHERE path = 'busy' FOR UPDATE`)
	require.NoError(t, err)
	together := []stream.AppendRequest{text("busy", "x"), text("new", late)}
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := n.AppendTogether(context.WithoutCancel(t.Context()), together)
		ended <- err
	}()
	n.awaitLockWaiter()

	n.create("new", "text/plain")
	other, err := n.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), `UPDATE wakelatch.streams SET tail = 7 WHERE path = 'new'`)
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), `INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body) VALUES ($1, 'new', 7, 'earlier')`, tenant)
	require.NoError(t, err)
	require.NoError(t, busy.Rollback(t.Context()))
	n.eventually(func() bool {
		return n.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE '-- name: AppendStreams%'`) > 0
	}, "the batch does not wait for the new stream")
	require.NoError(t, other.Commit(t.Context()))

	err = <-ended
	require.Error(t, err)
	require.Equal(t, batch.Alone, stream.Classify(err))
	require.Equal(t, "earlier", n.content("new"))
	_, _, errs, err := n.AppendTogether(t.Context(), together)
	require.NoError(t, err)
	require.Equal(t, []error{nil, nil}, errs)
	require.Equal(t, "earlier"+late, n.content("new"))
}
