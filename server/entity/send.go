package entity

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

const maxKeyBytes = 512

// SendRequest is a message to an entity.
type SendRequest struct {
	Tenant    string
	EntityURL string
	Principal string // the sender's url, such as /principal/user%3Aalice
	Key       string // sent again with the same key a message is not sent twice; empty makes one
	Type      string
	Mode      string // empty is ModeImmediate
	Payload   json.RawMessage
}

// message is a SendRequest with its identity, made before the first attempt.
type message struct {
	request   SendRequest
	spawnTxID string // of the entity it is for; empty is whichever has the name
	content   stream.Message
	wakeID    string
}

func (s *Service) newMessage(r SendRequest) (m message, txid string, err error) {
	switch r.Mode {
	case "":
		r.Mode = ModeImmediate
	case ModeImmediate, ModeQueued, ModePaused, ModeSteer:
	default:
		return message{}, "", &InvalidError{Field: "mode", Value: r.Mode, Why: "must be immediate, queued, paused or steer"}
	}
	if len(r.Key) > maxKeyBytes {
		return message{}, "", &InvalidError{Field: "key", Value: r.Key[:32] + "…", Why: fmt.Sprintf("must be at most %d bytes long", maxKeyBytes)}
	}
	if r.Key == "" {
		r.Key = newKey("msg")
	}
	txid = txidOf(r.Tenant, r.EntityURL, r.Key)
	content, err := inbox(r, txid)
	if err != nil {
		return message{}, "", err
	}
	return message{request: r, content: content, wakeID: claim.NewWakeID()}, txid, nil
}

// Send appends a message to the entity's stream and arms the entity if it needs a wake. A key already used
// on the entity adds nothing and answers the first one's txid. A message resumes a paused entity unless its
// mode is paused. It fails with ErrNotFound or a NotRunningError.
func (s *Service) Send(ctx context.Context, r SendRequest) (txid string, err error) {
	m, txid, err := s.newMessage(r)
	if err != nil {
		return "", err
	}
	if err := s.deliver(ctx, m); err != nil {
		return "", err
	}
	return txid, nil
}

func (s *Service) deliver(ctx context.Context, m message) error {
	row, err := s.sends.Do(ctx, m)
	if err != nil {
		return err
	}
	switch row.Outcome {
	case "not_found":
		return fmt.Errorf("entity %s: %w", m.request.EntityURL, ErrNotFound)
	case "not_running":
		return &NotRunningError{Status: row.Status}
	}
	return nil
}

func (s *Service) flushSends(ctx context.Context, calls []batch.Call[message]) ([]batch.Result[db.SendMessagesRow], error) {
	messages := make([]message, len(calls))
	for i, c := range calls {
		messages[i] = c.In
	}
	var p pg.Pipeline
	tenants, urls, paths := make([]string, len(messages)), make([]string, len(messages)), make([]string, len(messages))
	for i, m := range messages {
		tenants[i], urls[i], paths[i] = m.request.Tenant, m.request.EntityURL, claim.MainStream(m.request.EntityURL)
	}
	claim.LockEntityRows(&p, s.queries, tenants, urls, paths)
	sent := s.queueSend(&p, messages)
	if err := p.Run(ctx, s.Pool); err != nil {
		return nil, fmt.Errorf("send messages: %w", err)
	}
	s.announceSend(messages, sent)
	out := make([]batch.Result[db.SendMessagesRow], len(sent.rows))
	for i, row := range sent.rows {
		out[i].Out = row
	}
	return out, nil
}

type sent struct {
	rows  []db.SendMessagesRow
	armed *claim.Armed
}

// queueSend adds the messages and the wakes they need; the caller holds the rows.
func (s *Service) queueSend(p *pg.Pipeline, messages []message) *sent {
	arg := db.SendMessagesParams{Ords: pg.Ords(len(messages))}
	candidates := make([]claim.Candidate, len(messages))
	for i, m := range messages {
		arg.TenantIDs = append(arg.TenantIDs, m.request.Tenant)
		arg.EntityURLs = append(arg.EntityURLs, m.request.EntityURL)
		arg.Keys = append(arg.Keys, m.request.Key)
		arg.Bodies = append(arg.Bodies, m.content.Body)
		arg.OffsetMarks = append(arg.OffsetMarks, m.content.Marks)
		arg.Sizes = append(arg.Sizes, m.content.Size())
		arg.Resumes = append(arg.Resumes, m.request.Mode != ModePaused)
		arg.SpawnTxids = append(arg.SpawnTxids, m.spawnTxID)
		arg.Actors = append(arg.Actors, m.request.Principal)
		arg.ActionIds = append(arg.ActionIds, "resume-"+m.wakeID)
		candidates[i] = claim.Candidate{Tenant: m.request.Tenant, EntityURL: m.request.EntityURL, WakeID: m.wakeID}
	}
	out := &sent{}
	pg.Many(p, &out.rows, func(ctx context.Context, conn pg.Conn) ([]db.SendMessagesRow, error) {
		return s.queries.SendMessages(ctx, conn, arg)
	})
	out.armed = claim.Arm(p, s.queries, candidates)
	return out
}

func (s *Service) announceSend(messages []message, done *sent) {
	for i, row := range done.rows {
		r := messages[i].request
		if row.Tail > 0 {
			s.Hub.StreamChanged(r.Tenant, claim.MainStream(r.EntityURL), row.Tail)
		}
		if row.Version > 0 {
			s.Hub.EntityChanged(r.Tenant, r.EntityURL, row.Version)
		}
	}
	s.Claims.AnnounceArmed(done.armed)
}
