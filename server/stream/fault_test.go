package stream_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// The connection breaks when the transaction has committed and before anybody is told: the same append
// is tried again and must not be written twice.
func TestAppendSurvivesALostCommitAnswer(t *testing.T) {
	for name, req := range map[string]stream.AppendRequest{
		"plain":    text("notes", "once"),
		"producer": produced(text("notes", "once"), "p", 0, 0),
		"holder":   held(jsonBody(mainPath, `"once"`), "w_1", 1),
	} {
		t.Run(name, func(t *testing.T) {
			db := dbtest.New(t)
			way := dbtest.NewLoss(t, db.Pool)
			n := start(t, way.Pool)
			n.create("notes", "text/plain")
			n.create("warm", "text/plain")
			n.main(mainPath, "w_1", 1)
			n.append(text("warm", "the statements are prepared"))
			way.Next(0)
			done := n.append(req)
			require.Equal(t, 1, way.Lost())
			require.Equal(t, 1, n.count(`SELECT count(*) FROM wakelatch.stream_messages WHERE stream_path = $1`, string(req.Path)))
			tail, err := n.Head(t.Context(), req.Key)
			require.NoError(t, err)
			require.Equal(t, tail.Tail, done.End)
		})
	}
}

// A deletion whose answer is lost has happened all the same, and who reads the stream is told.
func TestDeleteSurvivesALostCommitAnswer(t *testing.T) {
	db := dbtest.New(t)
	way := dbtest.NewLoss(t, db.Pool)
	n := start(t, way.Pool)
	n.create("warm", "text/plain")
	n.create("notes", "text/plain")
	require.NoError(t, n.Delete(t.Context(), key("warm")))
	watch := n.hub.WatchStream(tenant, "notes")
	defer watch.Close()
	way.Next(0)
	require.NoError(t, n.Delete(t.Context(), key("notes")))
	require.Equal(t, 1, way.Lost())
	require.True(t, ready(watch.C()))
	require.ErrorIs(t, n.Delete(t.Context(), key("notes")), stream.ErrNotFound)
}

// The claim ends between an attempt of unknown outcome and the next: what had been written is reported as
// written.
func TestLostAnswerOfAnEndedClaimIsStillAnAnswer(t *testing.T) {
	db := dbtest.New(t)
	way := dbtest.NewLoss(t, db.Pool)
	n := start(t, way.Pool)
	n.main(mainPath, "w_1", 1)
	n.append(held(jsonBody(mainPath, `"first"`), "w_1", 1))
	// The epoch is sealed as soon as the message is there, while the batcher still pauses before it tries again.
	sealed := make(chan error, 1)
	way.Next(0)
	go func() {
		for {
			tag, err := db.Pool.Exec(context.Background(), `UPDATE wakelatch.streams SET sealed_epoch = 1 WHERE path = $1 AND tail > 8`, mainPath)
			if err != nil || tag.RowsAffected() > 0 {
				sealed <- err
				return
			}
		}
	}()
	_, err := n.Append(t.Context(), held(jsonBody(mainPath, `"second"`), "w_1", 1))
	require.NoError(t, err)
	require.NoError(t, <-sealed)
	require.Equal(t, `["first","second"]`, n.content(mainPath))
}

func TestDatabaseOutageIsRiddenOut(t *testing.T) {
	server := dbtest.NewServer(t)
	n := start(t, server.New(t).Pool)
	n.create("notes", "text/plain")
	require.NoError(t, server.Interrupt(t.Context(), localpg.Immediate))
	var all sync.WaitGroup
	errs := make([]error, 5)
	for i := range 4 {
		all.Go(func() { _, errs[i] = n.Append(t.Context(), text("notes", strconv.Itoa(i))) })
	}
	all.Go(func() { _, errs[4] = n.Read(t.Context(), stream.ReadRequest{Key: key("notes")}) })
	require.NoError(t, server.Resume(t.Context()))
	all.Wait()
	require.Equal(t, make([]error, 5), errs)
	require.Len(t, n.content("notes"), 4)
}

func TestALongOutageIsSaid(t *testing.T) {
	server := dbtest.NewServer(t)
	n := start(t, server.New(t).Pool, func(o *stream.Options) { o.RideOut = 200 * time.Millisecond })
	n.create("notes", "text/plain")
	require.NoError(t, server.Interrupt(t.Context(), localpg.Immediate))
	n.refused(text("notes", "x"), stream.ErrUnavailable)
	_, err := n.Head(t.Context(), key("notes"))
	require.ErrorIs(t, err, stream.ErrUnavailable)
	require.NoError(t, server.Resume(t.Context()))
}

// Whoever holds a stream's row holds up that stream's writers and no others.
func TestALockedStreamHoldsUpNoOther(t *testing.T) {
	n := open(t)
	n.create("locked", "text/plain")
	n.create("free", "text/plain")
	tx, err := n.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT 1 FROM wakelatch.streams WHERE path = 'locked' FOR UPDATE`)
	require.NoError(t, err)

	blocked := make(chan error, 1)
	go func() {
		_, err := n.Append(t.Context(), text("locked", "x"))
		blocked <- err
	}()
	n.awaitLockWaiter()
	n.append(text("free", "waits for the lock time-out at most"))
	began := time.Now()
	n.append(text("free", "and then not at all"))
	require.Less(t, time.Since(began), pg.LockTimeout/2)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-blocked)
	require.Equal(t, "x", n.content("locked"))
}
