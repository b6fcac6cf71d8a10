package stream_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/stream"
)

const mainPath = "demo/one/main"

// Whatever a writer whose claim is not the current one sends, it learns only that.
func TestFenceIsJudgedBeforeAllElse(t *testing.T) {
	for name, writer := range map[string]*stream.Holder{
		"no claim":         nil,
		"older epoch":      {Consumer: "w_7", Epoch: 6},
		"newer epoch":      {Consumer: "w_7", Epoch: 8},
		"another consumer": {Consumer: "w_6", Epoch: 7},
	} {
		t.Run(name, func(t *testing.T) {
			n := open(t)
			n.main(mainPath, "w_7", 7)
			n.append(produced(held(jsonBody(mainPath, `1`), "w_7", 7), "p", 1, 0))
			for what, req := range map[string]stream.AppendRequest{
				"an append":        jsonBody(mainPath, `2`),
				"another type":     text(mainPath, `2`),
				"a duplicate":      produced(jsonBody(mainPath, `1`), "p", 1, 0),
				"a gap":            produced(jsonBody(mainPath, `2`), "p", 1, 5),
				"a stale producer": produced(jsonBody(mainPath, `2`), "p", 0, 0),
				"a close":          {Key: key(mainPath), Close: true},
			} {
				req.Holder = writer
				_, err := n.Append(t.Context(), req)
				require.ErrorIs(t, err, stream.ErrFenced, what)
			}
			require.Equal(t, "[1]", n.content(mainPath))
			require.Equal(t, 6, n.counter("wakelatch_appends_fenced_total"))

			n.exec(`UPDATE wakelatch.streams SET closed_at = now() WHERE path = $1`, mainPath)
			req := jsonBody(mainPath, `2`)
			req.Holder = writer
			n.refused(req, stream.ErrFenced)
		})
	}
}

func TestSealEndsAnEpoch(t *testing.T) {
	n := open(t)
	n.main(mainPath, "w_7", 7)
	n.exec(`UPDATE wakelatch.streams SET sealed_epoch = 6 WHERE path = $1`, mainPath)
	n.append(held(jsonBody(mainPath, `1`), "w_7", 7))
	n.exec(`UPDATE wakelatch.streams SET sealed_epoch = 7 WHERE path = $1`, mainPath)
	n.refused(held(jsonBody(mainPath, `2`), "w_7", 7), stream.ErrFenced)
	n.exec(`UPDATE wakelatch.streams SET claim_consumer_id = NULL, claim_epoch = NULL WHERE path = $1`, mainPath)
	n.refused(held(jsonBody(mainPath, `3`), "w_7", 7), stream.ErrFenced)
	require.Equal(t, "[1]", n.content(mainPath))
}

// An append that waits for the row while the epoch is sealed is judged by what the row says then.
func TestAppendThatWaitedForTheSealIsFenced(t *testing.T) {
	n := open(t)
	n.main(mainPath, "w_7", 7)
	tx, err := n.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE wakelatch.streams SET sealed_epoch = 7 WHERE path = $1`, mainPath)
	require.NoError(t, err)

	appended := make(chan error, 1)
	go func() {
		_, err := n.Append(t.Context(), held(jsonBody(mainPath, `1`), "w_7", 7))
		appended <- err
	}()
	n.awaitLockWaiter()
	require.NoError(t, tx.Commit(t.Context()))
	require.ErrorIs(t, <-appended, stream.ErrFenced)
	require.Equal(t, "[]", n.content(mainPath))
}

func TestHolderLearnsOfWhatCameFromOutside(t *testing.T) {
	n := open(t)
	n.main(mainPath, "w_7", 7)
	write := func() stream.Appended { return n.append(held(jsonBody(mainPath, `1`), "w_7", 7)) }
	require.False(t, write().Outside)
	// An inbox message, as the entity's own transaction appends it.
	n.exec(`UPDATE wakelatch.streams SET tail = tail + 10, outside_tail = tail + 10 WHERE path = $1`, mainPath)
	n.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body)
		SELECT tenant_id, path, tail, '"message"' FROM wakelatch.streams WHERE path = $1`, mainPath)
	require.True(t, write().Outside)
	require.True(t, write().Outside, "until its claim is over")
	n.exec(`UPDATE wakelatch.streams SET claim_consumer_id = 'w_8', claim_epoch = 8, claim_outside_tail = outside_tail WHERE path = $1`, mainPath)
	require.False(t, n.append(held(jsonBody(mainPath, `2`), "w_8", 8)).Outside)
}

func TestOwnedStreamsAreNotTheClients(t *testing.T) {
	n := open(t)
	n.main(mainPath, "w_7", 7)
	n.exec(`INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type) VALUES ($1, 'runners/r/wake', 'wake', 'application/json')`, tenant)
	for _, path := range []string{mainPath, "runners/r/wake", "not/there/main"} {
		_, err := n.Create(t.Context(), stream.CreateRequest{Key: key(path), ContentType: "application/json"})
		require.ErrorIs(t, err, stream.ErrForbidden, path)
		require.ErrorIs(t, n.Delete(t.Context(), key(path)), stream.ErrForbidden, path)
	}
	n.refused(jsonBody("runners/r/wake", `1`), stream.ErrForbidden)
	n.refused(held(jsonBody("runners/r/wake", `1`), "w_7", 7), stream.ErrForbidden)
	holdersClose := held(stream.AppendRequest{Key: key(mainPath), Close: true}, "w_7", 7)
	n.refused(holdersClose, stream.ErrForbidden)
	require.Equal(t, 2, n.count(`SELECT count(*) FROM wakelatch.streams WHERE closed_at IS NULL`))
}

// Writers race with hand-overs on another connection; every append that landed must carry the epoch that was
// current when it did.
func TestFenceHoldsWhileClaimsChangeHands(t *testing.T) {
	const handOvers = 60
	n := open(t)
	n.main(mainPath, "w", 1)
	over := make(chan struct{})
	landed := make(chan int, 1)
	go func() {
		count := 0
		for epoch := int64(1); ; {
			select {
			case <-over:
				landed <- count
				return
			default:
			}
			if _, err := n.Append(t.Context(), held(jsonBody(mainPath, fmt.Sprintf(`{"epoch":%d}`, epoch)), "w", epoch)); err != nil {
				epoch++
				continue
			}
			count++
		}
	}()
	for epoch := int64(2); epoch <= handOvers; epoch++ {
		// What the stream holds when an epoch is sealed is all that this epoch ever writes.
		n.exec(`UPDATE wakelatch.streams SET sealed_epoch = $2 WHERE path = $1`, mainPath, epoch-1)
		before := n.count(`SELECT count(*) FROM wakelatch.stream_messages WHERE body = convert_to($1, 'UTF8')`, fmt.Sprintf(`{"epoch":%d}`, epoch-1))
		n.exec(`UPDATE wakelatch.streams SET claim_epoch = $2 WHERE path = $1`, mainPath, epoch)
		after := n.count(`SELECT count(*) FROM wakelatch.stream_messages WHERE body = convert_to($1, 'UTF8')`, fmt.Sprintf(`{"epoch":%d}`, epoch-1))
		require.Equal(t, before, after, "epoch %d wrote after its seal", epoch-1)
	}
	close(over)
	require.Equal(t, <-landed, n.count(`SELECT count(*) FROM wakelatch.stream_messages`))
}
