package stream_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

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
