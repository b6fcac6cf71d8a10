package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// ErrNoEntity means that there is no such entity, nor a trace of one.
var ErrNoEntity = errors.New("there is no such entity, nor a trace of one")

// MendRequest names one entity, and says who mends it and why.
type MendRequest struct {
	DatabaseURL string
	Tenant      string
	EntityURL   string
	Actor       string
	Reason      string
}

// Mend brings the rows of one entity into agreement, in one transaction, and writes that into its history. It returns
// what contradicted itself before and after; without anything it changes nothing. What a sweep has to end, it ends within seconds, if a node runs.
func Mend(ctx context.Context, r MendRequest) (before, after []claim.Violation, err error) {
	pool, err := pg.NewPool(ctx, pg.PoolOptions{DSN: r.DatabaseURL, ApplicationName: "wakelatch mend", MaxConns: 2, ExecMode: throughAnything})
	if err != nil {
		return nil, nil, err
	}
	defer pool.Close()
	q := db.New()
	known, err := q.TracesOfEntity(ctx, pool, db.TracesOfEntityParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("look for entity %s: %w", r.EntityURL, err)
	case !known:
		return nil, nil, fmt.Errorf("entity %s of tenant %s: %w", r.EntityURL, r.Tenant, ErrNoEntity)
	}
	of := func() ([]claim.Violation, error) {
		all, err := claim.Violations(ctx, pool)
		return slices.DeleteFunc(all, func(v claim.Violation) bool { return v.TenantID != r.Tenant || v.Subject != r.EntityURL }), err
	}
	if before, err = of(); err != nil || len(before) == 0 {
		return nil, nil, err
	}
	p := mending(q, r, "mend-"+strings.ToLower(rand.Text()))
	if err := p.Run(ctx, pool); err != nil {
		return before, nil, fmt.Errorf("mend entity %s: %w", r.EntityURL, err)
	}
	after, err = of()
	return before, after, err
}

// mending is the transaction: locks in the order that everybody keeps, then the rows, then the history.
func mending(q *db.Queries, r MendRequest, id string) *pg.Pipeline {
	tenants, urls := []string{r.Tenant}, []string{r.EntityURL}
	paths := []string{strings.TrimPrefix(r.EntityURL, "/") + "/main"}
	var p pg.Pipeline
	for _, step := range []func(ctx context.Context, conn pg.Conn) error{
		func(ctx context.Context, conn pg.Conn) error {
			return q.MendMissingDispatch(ctx, conn, db.MendMissingDispatchParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.LockDispatch(ctx, conn, db.LockDispatchParams{TenantIDs: tenants, EntityURLs: urls})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.LockActiveClaimsOfEntity(ctx, conn, db.LockActiveClaimsOfEntityParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.LockActiveLeasesOfEntity(ctx, conn, db.LockActiveLeasesOfEntityParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.LockEntities(ctx, conn, db.LockEntitiesParams{TenantIDs: tenants, EntityURLs: urls})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.LockStreams(ctx, conn, db.LockStreamsParams{TenantIDs: tenants, Paths: paths})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.MendDispatch(ctx, conn, db.MendDispatchParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.MendLeases(ctx, conn, db.MendLeasesParams{TenantID: r.Tenant, EntityURL: r.EntityURL})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.MendStatus(ctx, conn, db.MendStatusParams{TenantID: r.Tenant, URL: r.EntityURL})
		},
		func(ctx context.Context, conn pg.Conn) error {
			return q.InsertAction(ctx, conn, db.InsertActionParams{
				TenantID: r.Tenant, ID: id, Action: "mended", EntityURL: r.EntityURL, Actor: r.Actor, Reason: r.Reason,
			})
		},
	} {
		p.Exec(step)
	}
	return &p
}
