package entity_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
)

// condition is a status that an entity is in, with or without an active claim. What is pending beside a claim
// is what came after it, since a claim is of something pending. No entity is idle, stopped or killed with an
// active claim, nor running or stopping without one: the consistency query (I5) looks for those.
type condition struct {
	status  string
	claimed bool
	pending bool
}

func conditions() []condition {
	var all []condition
	for _, pending := range []bool{false, true} {
		all = append(all,
			condition{entity.StatusIdle, false, pending}, condition{entity.StatusRunning, true, pending},
			condition{entity.StatusPaused, false, pending}, condition{entity.StatusPaused, true, pending},
			condition{entity.StatusStopping, true, pending}, condition{entity.StatusStopped, false, pending},
			condition{entity.StatusKilled, false, pending})
	}
	return all
}

// takes says whether sends, tags and signals other than SIGKILL are taken in a status.
func takes(status string) bool {
	return slices.Contains([]string{entity.StatusIdle, entity.StatusRunning, entity.StatusPaused}, status)
}

// outcome is what the table of the wire contract says of a signal in a condition.
type outcome struct {
	refused, event bool
	next           string
	resumes        bool // which is work
}

func (c condition) after(signal string) outcome {
	switch {
	case signal == entity.SIGKILL:
		return outcome{next: entity.StatusKilled, event: c.status != entity.StatusKilled}
	case !takes(c.status):
		return outcome{refused: true, next: c.status}
	}
	o := outcome{event: true, next: c.status}
	switch signal {
	case entity.SIGSTOP:
		o.next = entity.StatusPaused
	case entity.SIGTERM:
		o.next = entity.StatusStopped
		if c.claimed {
			o.next = entity.StatusStopping
		}
	case entity.SIGCONT:
		if o.resumes = c.status == entity.StatusPaused; o.resumes {
			o.next = awake(c.claimed)
		}
	}
	return o
}

// awake is the status of an entity that is neither paused nor ending.
func awake(claimed bool) string {
	if claimed {
		return entity.StatusRunning
	}
	return entity.StatusIdle
}

// subject is an entity of the table's own.
type subject struct {
	*domain
	t    *testing.T
	url  string
	held claim.Notification
}

// bring makes an entity that is in a condition, the way any gets there.
func (d *domain) bring(t *testing.T, c condition) *subject {
	t.Helper()
	s := &subject{domain: d, t: t, url: "/demo/" + rand.Text()}
	var message json.RawMessage
	if c.claimed || c.pending {
		message = json.RawMessage(`1`)
	}
	_, _, err := d.entities.Spawn(t.Context(), entity.SpawnRequest{Tenant: tenant, Type: "demo", ID: s.url[len("/demo/"):], Principal: alice, InitialMessage: message})
	require.NoError(t, err)
	if c.claimed {
		s.held, err = d.claims.Claim(t.Context(), claim.ClaimRequest{Tenant: tenant, RunnerID: "r1", StreamPath: claim.MainStream(s.url), Generation: 1})
		require.NoError(t, err)
		if c.pending {
			require.NoError(t, s.send(entity.ModeImmediate))
		}
	}
	before := map[string]string{
		entity.StatusPaused: entity.SIGSTOP, entity.StatusStopping: entity.SIGTERM, entity.StatusStopped: entity.SIGTERM, entity.StatusKilled: entity.SIGKILL,
	}
	if signal, ok := before[c.status]; ok {
		require.NoError(t, s.signal(signal))
	}
	require.Equal(t, c.status, s.status())
	return s
}

func (s *subject) signal(name string) error {
	_, _, err := s.entities.Signal(s.t.Context(), entity.SignalRequest{Tenant: tenant, EntityURL: s.url, Principal: alice, Signal: name})
	return err
}

func (s *subject) send(mode string) error {
	_, err := s.entities.Send(s.t.Context(), entity.SendRequest{Tenant: tenant, EntityURL: s.url, Principal: alice, Mode: mode, Payload: json.RawMessage(`1`)})
	return err
}

func (s *subject) status() string {
	s.t.Helper()
	e, err := s.entities.Get(s.t.Context(), tenant, s.url)
	require.NoError(s.t, err)
	return e.Status
}

// armed says whether a wake is out, and which generation the entity has.
func (s *subject) armed() (out bool, generation int64) {
	s.t.Helper()
	require.NoError(s.t, s.db.Pool.QueryRow(s.t.Context(), `SELECT outstanding_wake_id IS NOT NULL, generation
		FROM wakelatch.entity_dispatch_state WHERE entity_url = $1`, s.url).Scan(&out, &generation))
	return out, generation
}

// events are the types on the entity's stream, of signals with their name and status.
func (s *subject) events() []string {
	s.t.Helper()
	rows, err := s.db.Pool.Query(s.t.Context(), `
		SELECT CASE e ->> 'type' WHEN 'signal' THEN concat_ws(' ', e -> 'value' ->> 'signal', e -> 'value' ->> 'status') ELSE e ->> 'type' END
		FROM (SELECT end_offset, convert_from(body, 'UTF8')::jsonb AS e FROM wakelatch.stream_messages WHERE stream_path = $1) m ORDER BY end_offset`,
		claim.MainStream(s.url))
	require.NoError(s.t, err)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	return events
}

func (s *subject) closed() bool {
	return s.count(`SELECT count(*) FROM wakelatch.streams WHERE path = $1 AND closed_at IS NOT NULL`, claim.MainStream(s.url)) == 1
}

// finish is the holder's done of all that its claim was of, and the release.
func (s *subject) finish() {
	s.t.Helper()
	key := claim.Key{Tenant: tenant, Consumer: s.held.Consumer, Epoch: s.held.Epoch}
	path := claim.MainStream(s.url)
	first := int64(s.count(`SELECT min(end_offset) FROM wakelatch.stream_messages WHERE stream_path = $1`, path))
	_, err := s.claims.Done(s.t.Context(), claim.DoneRequest{Key: key, Acks: []claim.Ack{{Path: path, Offset: first}}})
	require.NoError(s.t, err)
	require.NoError(s.t, s.claims.ReleaseDone(s.t.Context(),
		[]args.Claim{{Tenant: tenant, Consumer: key.Consumer, Epoch: key.Epoch, Stream: path}}, func(pgx.Tx) error { return nil }))
}

// Every signal in every condition: the status, the event on the stream, and whether a wake is out, before and
// after the claim is released.
func TestStatusTable(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	for _, c := range conditions() {
		for _, signal := range []string{entity.SIGSTOP, entity.SIGCONT, entity.SIGTERM, entity.SIGINT, entity.SIGKILL} {
			t.Run(fmt.Sprintf("%+v/%s", c, signal), func(t *testing.T) {
				t.Parallel()
				s, want := d.bring(t, c), c.after(signal)
				wasArmed, generation := s.armed()
				require.Equal(t, c.status == entity.StatusIdle && c.pending, wasArmed)
				events := s.events()

				if err := s.signal(signal); want.refused {
					require.ErrorIs(t, err, entity.ErrNotRunning)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, want.next, s.status())
				if want.event {
					handled := "handled"
					if c.claimed && signal != entity.SIGKILL {
						handled = "unhandled" // it is for the agent that works
					}
					events = append(events, signal+" "+handled)
				}
				require.Equal(t, events, s.events())
				require.Equal(t, want.next == entity.StatusKilled, s.closed())

				armed, now := s.armed()
				require.Equal(t, want.next == entity.StatusIdle && (c.pending || want.resumes), armed)
				if armed && !wasArmed {
					generation++
				}
				require.Equal(t, generation, now)
				d.requireConsistent()

				if !c.claimed {
					return
				}
				s.finish()
				require.Equal(t, released(want.next), s.status())
				armed, _ = s.armed()
				require.Equal(t, released(want.next) == entity.StatusIdle && (c.pending || want.resumes), armed)
				d.requireConsistent()
			})
		}
	}
}

// Sends and tags in every condition: taken or refused, what they make of the status, and whether a wake is out.
func TestSendsAndTagsInEveryStatus(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	for _, c := range conditions() {
		for _, mode := range []string{entity.ModeImmediate, entity.ModeQueued, entity.ModePaused, entity.ModeSteer} {
			t.Run(fmt.Sprintf("%+v/%s", c, mode), func(t *testing.T) {
				t.Parallel()
				s := d.bring(t, c)
				events := s.events()
				_, _, tagged := d.entities.SetTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: s.url, Key: "k", Value: "v"})
				sent := s.send(mode)
				if !takes(c.status) {
					require.ErrorIs(t, tagged, entity.ErrNotRunning)
					require.ErrorIs(t, sent, entity.ErrNotRunning)
					require.Equal(t, c.status, s.status())
					require.Equal(t, events, s.events())
					armed, _ := s.armed()
					require.False(t, armed)
					return
				}
				require.NoError(t, tagged)
				require.NoError(t, sent)
				require.Equal(t, append(events, "tags", "inbox"), s.events())
				want := c.status
				if c.status == entity.StatusPaused && mode != entity.ModePaused {
					want = awake(c.claimed)
				}
				require.Equal(t, want, s.status())
				armed, _ := s.armed()
				require.Equal(t, want == entity.StatusIdle, armed)
				d.requireConsistent()
			})
		}
	}
}
