package claim

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Lookup answers token.View from Postgres: the claim that an append to the stream would be judged by.
func Lookup(pool *pgxpool.Pool) token.Lookup {
	q := db.New()
	return func(ctx context.Context, tenant, stream string) (token.Claim, bool, error) {
		row, err := q.CurrentClaim(ctx, pool, db.CurrentClaimParams{TenantID: tenant, Path: stream})
		switch {
		case pg.IsNoRows(err):
			return token.Claim{Tenant: tenant, Stream: stream}, false, nil
		case err != nil:
			return token.Claim{}, false, fmt.Errorf("look up claim of stream %q: %w", stream, err)
		}
		return token.Claim{Tenant: tenant, Stream: stream, Consumer: row.ConsumerID, Epoch: row.Epoch}, row.InForce, nil
	}
}

// Resync fills the view from the active claims, after a start and after every reconnect of the listener.
func (s *Service) Resync(ctx context.Context) error {
	mark := s.View.BeginResync()
	rows, err := s.queries.ListActiveClaims(ctx, s.Pool)
	if err != nil {
		return fmt.Errorf("list active claims: %w", err)
	}
	active := make([]token.Claim, len(rows))
	for i, r := range rows {
		active[i] = token.Claim{Tenant: r.TenantID, Stream: r.StreamPath, Consumer: r.ConsumerID, Epoch: r.Epoch}
	}
	s.View.Resync(mark, active)
	return nil
}

const (
	// How much later than its time stamp a release may become visible: its statement, its
	// waits for wake streams and for the commit's notification, and a node that stalls before the commit.
	reconcileOverlap = pg.StatementTimeout + pg.IdleInTransactionTimeout + 3*pg.LockTimeout
	// How far the first turn looks back: longer than a node takes from its first look at the rows to that turn.
	firstReconcile = time.Minute
)

// Reconciler bounds what a lost notification can cost: Reconcile drops the tokens of claims released since
// it last looked.
type Reconciler struct {
	service *Service
	since   time.Time // the database's clock
}

// NewReconciler begins with the releases of the last minute; a Resync covers what was before.
func (s *Service) NewReconciler() *Reconciler { return &Reconciler{service: s} }

// Reconcile is not safe for concurrent use.
func (r *Reconciler) Reconcile(ctx context.Context) error {
	s := r.service
	now, err := s.queries.DatabaseNow(ctx, s.Pool)
	if err != nil {
		return fmt.Errorf("read database clock: %w", err)
	}
	if r.since.IsZero() {
		r.since = now.Add(-firstReconcile)
	}
	rows, err := s.queries.ListReleasedSince(ctx, s.Pool, r.since.Add(-reconcileOverlap))
	if err != nil {
		return fmt.Errorf("list released claims: %w", err)
	}
	for _, c := range rows {
		if s.View.Drop(c.TenantID, c.StreamPath, c.Epoch) {
			s.metrics.reconciled.Inc()
		}
	}
	r.since = now
	return nil
}
