package entity_test

import (
	"crypto/rand"
	"encoding/json"
	neturl "net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/stream"
)

// Every signal in every status. A signal that an entity does not take leaves no trace.
func TestSignalsInEveryStatus(t *testing.T) {
	t.Parallel()
	const refused = ""
	d := newDomain(t)
	for _, test := range []struct {
		name    string
		claimed bool
		before  []string
		next    map[string]string
	}{
		{
			name: "idle",
			next: map[string]string{"SIGSTOP": "paused", "SIGCONT": "idle", "SIGINT": "idle", "SIGTERM": "stopped", "SIGKILL": "killed"},
		},
		{
			name: "running", claimed: true,
			next: map[string]string{"SIGSTOP": "paused", "SIGCONT": "running", "SIGINT": "running", "SIGTERM": "stopping", "SIGKILL": "killed"},
		},
		{
			name: "paused", before: []string{"SIGSTOP"},
			next: map[string]string{"SIGSTOP": "paused", "SIGCONT": "idle", "SIGINT": "paused", "SIGTERM": "stopped", "SIGKILL": "killed"},
		},
		{
			name: "paused while running", claimed: true, before: []string{"SIGSTOP"},
			next: map[string]string{"SIGSTOP": "paused", "SIGCONT": "running", "SIGINT": "paused", "SIGTERM": "stopping", "SIGKILL": "killed"},
		},
		{
			name: "stopping", claimed: true, before: []string{"SIGTERM"},
			next: map[string]string{"SIGSTOP": refused, "SIGCONT": refused, "SIGINT": refused, "SIGTERM": refused, "SIGKILL": "killed"},
		},
		{
			name: "stopped", before: []string{"SIGTERM"},
			next: map[string]string{"SIGSTOP": refused, "SIGCONT": refused, "SIGINT": refused, "SIGTERM": refused, "SIGKILL": "killed"},
		},
		{
			name: "killed", before: []string{"SIGKILL"},
			next: map[string]string{"SIGSTOP": refused, "SIGCONT": refused, "SIGINT": refused, "SIGTERM": refused, "SIGKILL": "killed"},
		},
	} {
		for signal, want := range test.next {
			t.Run(test.name+"/"+signal, func(t *testing.T) {
				t.Parallel()
				made, _, err := d.entities.Spawn(t.Context(), entity.SpawnRequest{
					Tenant: tenant, Type: "demo", ID: rand.Text(), Principal: alice, InitialMessage: json.RawMessage(`1`),
				})
				require.NoError(t, err)
				path := claim.MainStream(made.URL)
				send := func(name string) (entity.Entity, error) {
					e, _, err := d.entities.Signal(t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: made.URL, Principal: alice, Signal: name})
					return e, err
				}
				look := func() (e entity.Entity, tail int) {
					e, err := d.entities.Get(t.Context(), tenant, made.URL)
					require.NoError(t, err)
					return e, d.count(`SELECT tail FROM wakelatch.streams WHERE path = $1`, path)
				}
				var n claim.Notification
				if test.claimed {
					n, err = d.claims.Claim(t.Context(), claim.ClaimRequest{Tenant: tenant, RunnerID: "r1", StreamPath: path, Generation: 1})
					require.NoError(t, err)
				}
				for _, name := range test.before {
					_, err = send(name)
					require.NoError(t, err)
				}
				before, tail := look()
				after, err := send(signal)
				if want == refused {
					require.ErrorIs(t, err, entity.ErrNotRunning)
					same, sameTail := look()
					require.Equal(t, before, same)
					require.Equal(t, tail, sameTail)
					after = same
				} else {
					require.NoError(t, err)
					require.Equal(t, want, after.Status)
				}
				d.requireConsistent()
				if after.Status != entity.StatusIdle && after.Status != entity.StatusRunning {
					require.Zero(t, d.count(`SELECT count(*) FROM wakelatch.entity_dispatch_state WHERE entity_url = $1 AND outstanding_wake_id IS NOT NULL`, made.URL))
				}
				if test.claimed {
					_, err = d.claims.Done(t.Context(), claim.DoneRequest{Key: claim.Key{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch}})
					require.NoError(t, err)
					require.NoError(t, d.claims.ReleaseDone(t.Context(),
						[]args.Claim{{Tenant: tenant, Consumer: n.Consumer, Epoch: n.Epoch, Stream: path}}, func(pgx.Tx) error { return nil }))
					last, _ := look()
					require.Equal(t, released(after.Status), last.Status)
					d.requireConsistent()
				}
			})
		}
	}
}

// released is what an entity's status becomes when its claim is released.
func released(status string) string {
	switch status {
	case entity.StatusRunning:
		return entity.StatusIdle
	case entity.StatusStopping:
		return entity.StatusStopped
	}
	return status
}

// What is killed takes nothing any more, and a message that was there wakes nobody.
func TestKilledIsFinal(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(`1`)
	n, err := d.claim(1)
	require.NoError(t, err)
	d.signal(entity.SIGKILL, entity.StatusKilled)
	require.Equal(t, claim.DoneLate, d.done(n, d.tail()))
	d.release(n)
	require.Equal(t, entity.StatusKilled, d.status())
	require.NoError(t, d.claims.SweepOnce(t.Context()))
	require.Equal(t, []int64{1}, d.wakes())
	_, _, err = d.entities.SetTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "k", Value: "v"})
	require.ErrorIs(t, err, entity.ErrNotRunning)
	d.requireConsistent()
}

// A message resumes a paused entity unless it says that it waits.
func TestMessagesToAPausedEntity(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(``)
	d.signal(entity.SIGSTOP, entity.StatusPaused)
	send := func(mode string) {
		_, err := d.entities.Send(t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: url, Principal: alice, Payload: json.RawMessage(`1`), Mode: mode})
		require.NoError(t, err)
	}
	send(entity.ModePaused)
	require.Equal(t, entity.StatusPaused, d.status())
	require.Empty(t, d.wakes())
	send(entity.ModeQueued)
	require.Equal(t, entity.StatusIdle, d.status())
	require.Equal(t, []int64{1}, d.wakes())
	d.requireConsistent()
}

func TestSpawnTakesTagsThatSetTagTakes(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	for tags, ok := range map[string]bool{
		``: true, `null`: true, `{}`: true, `{"color":"red"}`: true,
		`{"color":null}`: false, `{"color":1}`: false, `[]`: false, `"x"`: false, `{"":"red"}`: false, "{\"a\\nb\":\"red\"}": false,
	} {
		_, _, err := d.entities.Spawn(t.Context(), entity.SpawnRequest{Tenant: tenant, Type: "demo", ID: rand.Text(), Principal: alice, Tags: json.RawMessage(tags)})
		if ok {
			require.NoError(t, err, tags)
			continue
		}
		var invalid *entity.InvalidError
		require.ErrorAs(t, err, &invalid, tags)
	}
}

// An entity is refused whose stream nobody could read or write.
func TestEveryEntitysStreamHasAPath(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{"one": true, "50%": true, "ä b": true, "%41": false, "a%2Fb": false, "..": false, "a/b": false, "": false} {
		made, err := entity.CheckURL("demo", id)
		if !ok {
			var invalid *entity.InvalidError
			require.ErrorAs(t, err, &invalid, id)
			require.Equal(t, "id", invalid.Field)
			continue
		}
		require.NoError(t, err, id)
		path, err := stream.ParsePath(neturl.PathEscape(claim.MainStream(made)))
		require.NoError(t, err, id)
		require.Equal(t, stream.Main, path.Kind())
	}
}
