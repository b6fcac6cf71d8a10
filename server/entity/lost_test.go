package entity_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// The connection breaks when the transaction has committed and before anybody is told: the operation is tried
// again inside the request, does nothing twice, and is answered as what it was.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	type look struct {
		*domain
		holder *stream.Holder
	}
	for name, test := range map[string]struct {
		claimed bool   // before the operation an entity is there and its wake is claimed
		tag     string // of the last command of the transaction
		run     func(l look) (txid string)
		status  string
		events  int // on the entity's stream
		wakes   []int64
	}{
		"spawn": {
			tag: "INSERT 0 1", status: entity.StatusIdle, events: 1, wakes: []int64{1},
			run: func(l look) string {
				e, txid, err := l.entities.Spawn(l.t.Context(), entity.SpawnRequest{
					Tenant: tenant, Type: "demo", ID: "one", Principal: alice, InitialMessage: json.RawMessage(`1`),
				})
				require.NoError(l.t, err)
				require.Equal(l.t, url, e.URL)
				return txid
			},
		},
		"send": {
			claimed: true, tag: "SELECT", status: entity.StatusRunning, events: 2, wakes: []int64{1},
			run: func(l look) string {
				news := l.hub.WatchStream(tenant, main)
				defer news.Close()
				txid, err := l.entities.Send(l.t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: url, Principal: alice, Payload: json.RawMessage(`1`)})
				require.NoError(l.t, err)
				select {
				case <-news.C():
				case <-time.After(10 * time.Second):
					require.Fail(l.t, "who reads the stream was never told")
				}
				return txid
			},
		},
		"tag of the holder": {
			claimed: true, tag: "SELECT", status: entity.StatusRunning, events: 2, wakes: []int64{1},
			run: func(l look) string {
				e, txid, err := l.entities.SetTag(l.t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "color", Value: "red", Holder: l.holder})
				require.NoError(l.t, err)
				require.JSONEq(l.t, `{"color":"red"}`, string(e.Tags))
				return txid
			},
		},
		"SIGSTOP": {
			claimed: true, tag: "COMMIT", status: entity.StatusPaused, events: 2, wakes: []int64{1},
			run: func(l look) string { return l.signal(entity.SIGSTOP, entity.StatusPaused) },
		},
		"SIGTERM": {
			claimed: true, tag: "COMMIT", status: entity.StatusStopping, events: 2, wakes: []int64{1},
			run: func(l look) string { return l.signal(entity.SIGTERM, entity.StatusStopping) },
		},
		"SIGKILL": {
			claimed: true, tag: "COMMIT", status: entity.StatusKilled, events: 2, wakes: []int64{1},
			run: func(l look) string { return l.signal(entity.SIGKILL, entity.StatusKilled) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var way *dbtest.Loss
			d := newDomain(t, func(o *claim.Options) { way = dbtest.NewLoss(t, o.Pool); o.Pool = way.Pool })
			l := look{domain: d}
			if test.claimed {
				d.spawn(`"first"`)
				n, err := d.claim(1)
				require.NoError(t, err)
				l.holder = &stream.Holder{Consumer: n.Consumer, Epoch: n.Epoch}
			}
			way.Next(0, test.tag)
			txid := test.run(l)
			require.Equal(t, 1, way.Lost())
			require.Equal(t, test.status, d.status())
			require.Equal(t, test.wakes, d.wakes())
			require.Equal(t, test.events, d.count(`SELECT count(*) FROM wakelatch.stream_messages WHERE stream_path = $1`, main))
			require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.stream_messages
				WHERE stream_path = $1 AND convert_from(body, 'UTF8')::jsonb -> 'headers' ->> 'txid' = $2`, main, txid))
			d.requireConsistent()
		})
	}
}

// The claim ends between an attempt of a tag write whose answer was lost and the next one: what was written is
// reported as written.
func TestLostAnswerOfATagWhoseClaimEnded(t *testing.T) {
	t.Parallel()
	var way *dbtest.Loss
	d := newDomain(t, func(o *claim.Options) { way = dbtest.NewLoss(t, o.Pool); o.Pool = way.Pool })
	d.spawn(`1`)
	n, err := d.claim(1)
	require.NoError(t, err)
	before := d.tail()
	sealed := make(chan error, 1)
	way.Next(0, "SELECT")
	go func() {
		for {
			tag, err := d.db.Pool.Exec(t.Context(), `UPDATE wakelatch.streams SET sealed_epoch = 1 WHERE path = $1 AND tail > $2`, main, before)
			if err != nil || tag.RowsAffected() > 0 {
				sealed <- err
				return
			}
		}
	}()
	_, _, err = d.entities.SetTag(t.Context(), entity.TagRequest{
		Tenant: tenant, EntityURL: url, Key: "color", Value: "red", Holder: &stream.Holder{Consumer: n.Consumer, Epoch: n.Epoch},
	})
	require.NoError(t, err)
	require.NoError(t, <-sealed)
}

func (d *domain) signal(name, status string) (txid string) {
	d.t.Helper()
	e, txid, err := d.entities.Signal(d.t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: url, Principal: alice, Signal: name})
	require.NoError(d.t, err)
	require.Equal(d.t, status, e.Status)
	return txid
}

func (d *domain) count(sql string, args ...any) (n int) {
	d.t.Helper()
	require.NoError(d.t, d.db.Pool.QueryRow(d.t.Context(), sql, args...).Scan(&n))
	return n
}
