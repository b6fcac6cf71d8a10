package claim

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Claim is one claim's row: status, when it was made, confirmed, done and released, and why.
type Claim = db.WakelatchConsumerClaim

// Get returns a claim, or ErrUnknownClaim.
func (s *Service) Get(ctx context.Context, k Key) (Claim, error) {
	var c Claim
	err := pg.RideOut(ctx, s.RideOut, func(ctx context.Context) (err error) {
		c, err = s.queries.GetClaim(ctx, s.Pool, db.GetClaimParams{TenantID: k.Tenant, ConsumerID: k.Consumer, Epoch: k.Epoch})
		return err
	})
	switch {
	case pg.IsNoRows(err):
		return Claim{}, ErrUnknownClaim
	case err != nil:
		return Claim{}, fmt.Errorf("get claim %s epoch %d: %w", k.Consumer, k.Epoch, err)
	}
	return c, nil
}
