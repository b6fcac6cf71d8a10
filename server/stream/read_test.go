package stream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func TestReadFromAnyNumberReturnsWholeAppends(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	for _, body := range []string{"aaa", "bb", "cccc"} {
		n.append(text("notes", body))
	}
	for from, want := range map[stream.Offset]string{
		stream.Beginning: "aaabbcccc", 0: "aaabbcccc", 1: "aaabbcccc", 2: "aaabbcccc", 3: "bbcccc", 4: "bbcccc", 5: "cccc", 8: "cccc", 9: "", 10: "", 5000: "",
		stream.Now: "",
	} {
		page := n.read("notes", from)
		require.Equal(t, want, string(page.Render()), from)
		require.EqualValues(t, 9, page.Next)
		require.True(t, page.UpToDate)
		require.False(t, page.TimedOut)
	}
}

func TestReadIsPaged(t *testing.T) {
	db := dbtest.New(t)
	n := start(t, db.Pool, func(o *stream.Options) { o.PageBytes = 10 })
	n.create("notes", "text/plain")
	for _, size := range []int{4, 4, 4, 30, 4} {
		n.append(text("notes", strings.Repeat("x", size)))
	}
	var sizes []int
	var upToDate []bool
	for from := stream.Beginning; ; {
		page := n.read("notes", from)
		sizes = append(sizes, len(page.Render()))
		upToDate = append(upToDate, page.UpToDate)
		if page.UpToDate {
			break
		}
		from = page.Next
	}
	require.Equal(t, []int{8, 4, 30, 4}, sizes, "an append larger than a page is a page of its own")
	require.Equal(t, []bool{false, false, false, true}, upToDate)
}

func TestReadOfNothing(t *testing.T) {
	n := open(t)
	_, err := n.Read(t.Context(), stream.ReadRequest{Key: key("absent")})
	require.ErrorIs(t, err, stream.ErrNotFound)
	_, err = n.Read(t.Context(), stream.ReadRequest{Key: key("absent"), Live: true})
	require.ErrorIs(t, err, stream.ErrNotFound)
	_, err = n.Head(t.Context(), key("absent"))
	require.ErrorIs(t, err, stream.ErrNotFound)
	require.ErrorIs(t, n.Delete(t.Context(), key("absent")), stream.ErrNotFound)
}

func TestCreate(t *testing.T) {
	n := open(t)
	made, err := n.Create(t.Context(), stream.CreateRequest{Key: key("items"), ContentType: "application/json", Body: []byte(`[1,2]`)})
	require.NoError(t, err)
	require.True(t, made.New)
	require.EqualValues(t, 4, made.Tail)
	again, err := n.Create(t.Context(), stream.CreateRequest{Key: key("items"), ContentType: "Application/JSON; charset=utf-8"})
	require.NoError(t, err)
	require.False(t, again.New)
	require.Equal(t, made.Info, again.Info)
	_, err = n.Create(t.Context(), stream.CreateRequest{Key: key("items"), ContentType: "text/plain"})
	require.ErrorIs(t, err, stream.ErrExists)
	_, err = n.Create(t.Context(), stream.CreateRequest{Key: key("bad"), ContentType: "application/json", Body: []byte(`[1`)})
	require.ErrorContains(t, err, "not valid JSON")
	empty, err := n.Create(t.Context(), stream.CreateRequest{Key: key("empty"), ContentType: "application/json", Body: []byte(`[]`)})
	require.NoError(t, err)
	require.Zero(t, empty.Tail)
	plain, err := n.Create(t.Context(), stream.CreateRequest{Key: key("bytes")})
	require.NoError(t, err)
	require.Equal(t, stream.DefaultContentType, plain.ContentType)
}

func TestDeleteLeavesNothingBehind(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	n.append(produced(text("notes", "x"), "p", 3, 0))
	before, err := n.Head(t.Context(), key("notes"))
	require.NoError(t, err)
	require.NoError(t, n.Delete(t.Context(), key("notes")))
	for _, table := range []string{"streams", "stream_messages", "stream_producers"} {
		require.Zero(t, n.count(`SELECT count(*) FROM wakelatch.`+table), table)
	}
	n.create("notes", "text/plain")
	n.append(produced(text("notes", "y"), "p", 0, 0))
	after, err := n.Head(t.Context(), key("notes"))
	require.NoError(t, err)
	require.NotEqual(t, before.Generation, after.Generation)
}

// poll is a long-poll under way.
type poll struct {
	page chan *stream.Page
	err  chan error
}

func (n *node) poll(ctx context.Context, path string, from stream.Offset) poll {
	n.t.Helper()
	p := poll{page: make(chan *stream.Page, 1), err: make(chan error, 1)}
	go func() {
		page, err := n.Read(ctx, stream.ReadRequest{Key: key(path), From: from, Live: true})
		p.page <- page
		p.err <- err
	}()
	return p
}

func (p poll) ended(t *testing.T) *stream.Page {
	t.Helper()
	page := <-p.page
	require.NoError(t, <-p.err)
	return page
}

func TestLongPollReturnsWhatComes(t *testing.T) {
	n := open(t)
	n.create("notes", "text/plain")
	n.append(text("notes", "old"))
	for _, from := range []func(tail stream.Offset) stream.Offset{
		func(tail stream.Offset) stream.Offset { return tail },
		func(tail stream.Offset) stream.Offset { return tail + 1 },
		func(stream.Offset) stream.Offset { return stream.Now },
	} {
		tail := n.read("notes", stream.Now).Tail
		p := n.poll(t.Context(), "notes", from(tail))
		n.awaitSeen("notes")
		n.append(text("notes", "new"))
		page := p.ended(t)
		require.Equal(t, "new", string(page.Render()))
		require.Equal(t, tail+3, page.Next)
		require.True(t, page.UpToDate)
	}
	require.Equal(t, "oldnewnewnew", string(n.poll(t.Context(), "notes", stream.Beginning).ended(t).Render()), "what is there needs no wait")
}

func TestLongPollEnds(t *testing.T) {
	db := dbtest.New(t)
	n := start(t, db.Pool, func(o *stream.Options) { o.LongPoll = 50 * time.Millisecond })
	n.create("notes", "text/plain")
	n.append(text("notes", "old"))

	timedOut := n.poll(t.Context(), "notes", 3).ended(t)
	require.True(t, timedOut.TimedOut)
	require.True(t, timedOut.UpToDate)
	require.EqualValues(t, 3, timedOut.Next)

	long := start(t, db.Pool, func(o *stream.Options) { o.LongPoll = time.Hour })
	ctx, drain := context.WithCancel(t.Context())
	p := long.poll(ctx, "notes", 3)
	long.awaitSeen("notes")
	drain()
	require.True(t, p.ended(t).TimedOut, "a drained node ends its reads as at their time-out")

	p = long.poll(t.Context(), "notes", 3)
	long.awaitSeen("notes")
	long.append(stream.AppendRequest{Key: key("notes"), Close: true})
	page := p.ended(t)
	require.True(t, page.Closed)
	require.Empty(t, page.Appends)

	long.create("gone", "text/plain")
	p = long.poll(t.Context(), "gone", 0)
	long.awaitSeen("gone")
	require.NoError(t, long.Delete(t.Context(), key("gone")))
	<-p.page
	require.ErrorIs(t, <-p.err, stream.ErrNotFound)
	require.Zero(t, long.gauge("wakelatch_long_polls"))
}

// A reader that follows with long-polls sees every append once, in order, however many come at once.
func TestLongPollMissesNothing(t *testing.T) {
	const appends = 200
	n := open(t)
	n.create("notes", "text/plain")
	done := make(chan error, 1)
	go func() {
		for i := range appends {
			if _, err := n.Append(t.Context(), text("notes", fmt.Sprintf("%d,", i))); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var got, want strings.Builder
	for from := stream.Beginning; strings.Count(got.String(), ",") < appends; {
		page := n.poll(t.Context(), "notes", from).ended(t)
		require.False(t, page.TimedOut)
		got.Write(page.Render())
		from = page.Next
	}
	require.NoError(t, <-done)
	for i := range appends {
		fmt.Fprintf(&want, "%d,", i)
	}
	require.Equal(t, want.String(), got.String())
}
