package entity_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

func (d *domain) delete() {
	d.t.Helper()
	require.NoError(d.t, d.entities.Delete(d.t.Context(), entity.DeleteRequest{Tenant: tenant, EntityURL: url, Actor: alice, Reason: "done with it"}))
}

// Whoever waits for a newer version of an entity waits for its name: one spawned anew must not seem older.
func TestVersionsGoOnAcrossDeletion(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(`1`)
	for i := range 3 {
		_, _, err := d.entities.SetTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "n", Value: strconv.Itoa(i)})
		require.NoError(t, err)
	}
	before, err := d.entities.Get(t.Context(), tenant, url)
	require.NoError(t, err)
	waited := make(chan error, 1)
	go func() {
		_, err := d.entities.Wait(t.Context(), tenant, url, before.Version+100)
		waited <- err
	}()
	d.delete()
	require.ErrorIs(t, <-waited, entity.ErrNotFound)
	after := d.spawn(`2`)
	require.Greater(t, after.Version, before.Version)
	require.Equal(t, []int64{1, 2}, d.wakes())
	d.requireConsistent()
}

func TestDeletionIsToldAndKeepsWhatHappened(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(`1`)
	n, err := d.claim(1)
	require.NoError(t, err)
	require.Equal(t, claim.DoneRecorded, d.done(n, d.tail()))
	d.delete()
	got, err := d.claims.Get(t.Context(), claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch})
	require.NoError(t, err)
	require.Equal(t, "released", got.Status)
	require.Equal(t, "deleted", *got.ReleaseCause)
	d.release(n) // its job comes late and changes nothing
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.claim_events WHERE transition = 'released' AND actor = $1 AND reason = 'done with it'`, alice))
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.actions WHERE action = 'spawned' AND actor = $1`, alice))
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.actions WHERE action = 'entity_deleted' AND reason = 'done with it'`))
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.entity_dispatch_state WHERE generation = 1
		AND outstanding_wake_id IS NULL AND active_consumer_id IS NULL AND last_outside_seq = 0`))
	require.ErrorIs(t, d.entities.Delete(t.Context(), entity.DeleteRequest{Tenant: tenant, EntityURL: url, Actor: alice, Reason: "x"}), entity.ErrNotFound)
	require.Zero(t, d.count(`SELECT count(*) FROM wakelatch.claim_leases`))
}

// Of many deletions at once each ends well, and the entity is deleted once.
func TestDeletionsAtOnce(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	nodes := []*domain{newDomainOn(t, database), newDomainOn(t, database)}
	nodes[0].spawn(`1`)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			err := nodes[i%2].entities.Delete(t.Context(), entity.DeleteRequest{Tenant: tenant, EntityURL: url, Actor: alice, Reason: "x"})
			if err != nil && !errors.Is(err, entity.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, nodes[0].count(`SELECT count(*) FROM wakelatch.actions WHERE action = 'entity_deleted'`))
}

// A job that is worked again, because nobody knows how its first attempt ended, sends nothing again.
func TestDelayedMessageIsSentOnce(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(``)
	payload := `{"b":1.0,"a":1e2,"a":2}`
	require.NoError(t, d.entities.SendLater(t.Context(), entity.SendRequest{
		Tenant: tenant, EntityURL: url, Principal: alice, Payload: json.RawMessage(payload), Type: "note",
	}, time.Hour.Milliseconds()))
	var job args.SendDelayed
	var encoded []byte
	require.NoError(t, d.db.Pool.QueryRow(t.Context(), `SELECT args FROM river_job
		WHERE state = 'scheduled' AND scheduled_at BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour'`).Scan(&encoded))
	require.NoError(t, json.Unmarshal(encoded, &job))
	for range 3 {
		require.NoError(t, d.entities.SendDelayed(t.Context(), job))
	}
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.stream_messages WHERE stream_path = $1`, main))
	require.Equal(t, 1, d.count(`SELECT count(*) FROM wakelatch.stream_messages
		WHERE stream_path = $1 AND position(convert_to($2, 'UTF8') in body) > 0`, main, payload), "the payload is kept as it was sent")
	require.Equal(t, []int64{1}, d.wakes())
}

func TestWhatIsNotDelayed(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(``)
	request := entity.SendRequest{Tenant: tenant, EntityURL: url, Principal: alice, Payload: json.RawMessage(`1`)}
	for _, afterMS := range []int64{-1, entity.MaxDelay.Milliseconds() + 1} {
		var invalid *entity.InvalidError
		require.ErrorAs(t, d.entities.SendLater(t.Context(), request, afterMS), &invalid)
		require.Equal(t, "afterMs", invalid.Field)
		require.Equal(t, strconv.FormatInt(afterMS, 10), invalid.Value)
	}
	request.EntityURL = "/demo/none"
	require.ErrorIs(t, d.entities.SendLater(t.Context(), request, 1), entity.ErrNotFound)
	request.EntityURL = url
	_, _, err := d.entities.Signal(t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: url, Principal: alice, Signal: entity.SIGTERM})
	require.NoError(t, err)
	require.ErrorIs(t, d.entities.SendLater(t.Context(), request, 1), entity.ErrNotRunning)
	require.Zero(t, d.count(`SELECT count(*) FROM river_job`))
}

func TestOneKeyFromManySendersAtOnce(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	nodes := []*domain{newDomainOn(t, database), newDomainOn(t, database)}
	nodes[0].spawn(``)
	txids := make([]string, 32)
	var all sync.WaitGroup
	for i := range txids {
		all.Go(func() {
			var err error
			txids[i], err = nodes[i%2].entities.Send(t.Context(), entity.SendRequest{
				Tenant: tenant, EntityURL: url, Principal: alice, Key: "k", Payload: json.RawMessage(strconv.Itoa(i)),
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, txid := range txids {
		require.Equal(t, txids[0], txid)
	}
	require.Equal(t, 1, nodes[0].count(`SELECT count(*) FROM wakelatch.stream_messages WHERE stream_path = $1`, main))
	require.Equal(t, []int64{1}, nodes[0].wakes())
}

func TestSpawnAndTagsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	many := map[string]string{}
	for i := range 129 {
		many[strconv.Itoa(i)] = ""
	}
	tags, err := json.Marshal(many)
	require.NoError(t, err)
	for field, request := range map[string]entity.SpawnRequest{
		"args": {Args: json.RawMessage(`"` + strings.Repeat("x", 256<<10) + `"`)},
		"tags": {Tags: tags},
	} {
		request.Tenant, request.Type, request.ID, request.Principal = tenant, "demo", "one", alice
		_, _, err := d.entities.Spawn(t.Context(), request)
		var invalid *entity.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	delete(many, "0")
	tags, err = json.Marshal(many)
	require.NoError(t, err)
	_, _, err = d.entities.Spawn(t.Context(), entity.SpawnRequest{Tenant: tenant, Type: "demo", ID: "one", Principal: alice, Tags: tags})
	require.NoError(t, err)
	set := func(key string) error {
		_, _, err := d.entities.SetTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: key, Value: "v"})
		return err
	}
	require.NoError(t, set("1"), "one that is there may change")
	var invalid *entity.InvalidError
	require.ErrorAs(t, set("0"), &invalid)
	_, _, err = d.entities.DeleteTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "1"})
	require.NoError(t, err)
	require.NoError(t, set("0"))
}
