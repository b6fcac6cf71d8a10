package claim

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// ClaimRequest is a runner's answer to a wake event.
type ClaimRequest struct { //nolint:revive // beside DoneRequest, Request alone would not say which
	Tenant     string
	RunnerID   string
	Owner      string // the principal that the runner must belong to; empty is anybody
	StreamPath string // the entity's main stream, as in the event
	Generation int64
}

// Notification tells a runner what it claimed.
type Notification struct {
	Consumer    string
	Epoch       int64
	StreamPath  string
	StartOffset int64 // the first byte that no earlier claim acknowledged
	ClaimToken  string
	Entity      EntityView
}

// EntityView is the entity as it was before the claim.
type EntityView struct {
	Type, Status, URL string
	Tags, SpawnArgs   json.RawMessage
	CreatedBy         string
}

// Outcomes of a claim, as the statement names them.
const (
	outcomeClaimed        = "claimed"
	outcomeRepeated       = "repeated"
	outcomeAlreadyClaimed = "already_claimed"
	outcomeNoPendingWork  = "no_pending_work"
	outcomeNotAwake       = "not_awake"
	outcomeNoRunner       = "no_runner"
	outcomeNoEntity       = "no_entity"
	outcomeForeignRunner  = "foreign_runner"
)

type claimed = db.ClaimWakesRow

// Claim makes the outstanding wake of an entity the runner's claim. Asked again by the same runner before
// the claim is confirmed it answers the same, so that a lost response costs nothing. It fails with
// ErrAlreadyClaimed, ErrNoPendingWork, ErrNothingForYou, ErrNotAwake or ErrForeignRunner.
func (s *Service) Claim(ctx context.Context, r ClaimRequest) (Notification, error) {
	entityURL, ok := EntityURL(r.StreamPath)
	if !ok {
		return Notification{}, fmt.Errorf("stream %q belongs to no entity: %w", r.StreamPath, ErrNothingForYou)
	}
	row, err := s.claims.Do(ctx, r)
	if err != nil {
		return Notification{}, err
	}
	s.metrics.claims.WithLabelValues(row.Outcome).Inc()
	switch row.Outcome {
	case outcomeClaimed, outcomeRepeated:
	case outcomeAlreadyClaimed:
		return Notification{}, ErrAlreadyClaimed
	case outcomeNoPendingWork:
		return Notification{}, ErrNoPendingWork
	case outcomeNotAwake:
		return Notification{}, ErrNotAwake
	case outcomeForeignRunner:
		return Notification{}, ErrForeignRunner
	default:
		return Notification{}, ErrNothingForYou
	}
	held := token.Claim{Tenant: r.Tenant, Stream: r.StreamPath, Consumer: row.ConsumerID, Epoch: row.Epoch}
	// Also when it is repeated: nobody was told of a claim whose answer got lost inside this node.
	s.View.Put(held)
	s.Announcer.EntityChanged(r.Tenant, entityURL, row.Version)
	return Notification{
		Consumer: row.ConsumerID, Epoch: row.Epoch, StreamPath: r.StreamPath, StartOffset: row.StartSeq + 1,
		ClaimToken: s.Keyring.Sign(token.ClaimToken, token.Claim{Tenant: r.Tenant, Consumer: row.ConsumerID, Epoch: row.Epoch}),
		Entity: EntityView{
			Type: row.EntityType, Status: row.EntityStatus, URL: entityURL,
			Tags: row.Tags, SpawnArgs: row.SpawnArgs, CreatedBy: row.CreatedBy,
		},
	}, nil
}

func (s *Service) flushClaims(ctx context.Context, calls []batch.Call[ClaimRequest]) ([]batch.Result[claimed], error) {
	arg := db.ClaimWakesParams{Ords: pg.Ords(len(calls)), LeaseMs: s.Lease.Milliseconds()}
	var paths []string
	for _, c := range calls {
		entityURL, _ := EntityURL(c.In.StreamPath)
		arg.TenantIDs = append(arg.TenantIDs, c.In.Tenant)
		arg.RunnerIDs = append(arg.RunnerIDs, c.In.RunnerID)
		arg.Owners = append(arg.Owners, c.In.Owner)
		arg.EntityURLs = append(arg.EntityURLs, entityURL)
		arg.Generations = append(arg.Generations, c.In.Generation)
		paths = append(paths, c.In.StreamPath)
	}
	var p pg.Pipeline
	var rows []db.ClaimWakesRow
	LockEntityRows(&p, s.queries, arg.TenantIDs, arg.EntityURLs, paths)
	pg.Many(&p, &rows, func(ctx context.Context, conn pg.Conn) ([]db.ClaimWakesRow, error) {
		return s.queries.ClaimWakes(ctx, conn, arg)
	})
	if err := p.Run(ctx, s.Pool); err != nil {
		return nil, fmt.Errorf("claim wakes: %w", err)
	}
	return results(rows), nil
}

// LockEntityRows locks, in this order, the dispatch rows, the entities and their main streams: what an
// operation on entities without a claim of its own protects.
func LockEntityRows(p *pg.Pipeline, q *db.Queries, tenants, entityURLs, mainStreams []string) {
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockDispatch(ctx, conn, db.LockDispatchParams{TenantIDs: tenants, EntityURLs: entityURLs})
	})
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockEntities(ctx, conn, db.LockEntitiesParams{TenantIDs: tenants, EntityURLs: entityURLs})
	})
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockStreams(ctx, conn, db.LockStreamsParams{TenantIDs: tenants, Paths: mainStreams})
	})
}

// results are the rows of a statement that answers one per item, in their order.
func results[T any](rows []T) []batch.Result[T] {
	out := make([]batch.Result[T], len(rows))
	for i, row := range rows {
		out[i].Out = row
	}
	return out
}
