package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// ErrForeignToken means that a write token is not the one of the claim it was shown for.
var ErrForeignToken = errors.New("the write token is not this claim's")

// Verified is a claim that was in force when Postgres was asked.
type Verified struct {
	Key            Key
	EntityURL      string
	StreamPath     string
	RunnerID       string
	ClaimedAt      time.Time
	LeaseExpiresAt time.Time
	LeaseRemaining time.Duration // 0 once the lease has ended and no sweep has ended the claim
}

// Verify says whether the claim is in force: active, not done, its epoch not sealed. It asks Postgres, never
// memory alone; what it says holds for the moment in which it was read. A write token, if one is given, must be
// this claim's. It fails with ErrUnknownClaim, ErrForeignToken or a LostError.
func (s *Service) Verify(ctx context.Context, k Key, writeToken string) (Verified, error) {
	var row db.VerifyClaimRow
	err := pg.RideOut(ctx, s.RideOut, func(ctx context.Context) (err error) {
		row, err = s.queries.VerifyClaim(ctx, s.Pool, db.VerifyClaimParams{TenantID: k.Tenant, ConsumerID: k.Consumer, Epoch: k.Epoch})
		return err
	})
	switch {
	case pg.IsNoRows(err):
		return Verified{}, ErrUnknownClaim
	case err != nil:
		return Verified{}, fmt.Errorf("verify claim %s epoch %d: %w", k.Consumer, k.Epoch, err)
	}
	if writeToken != "" {
		of, err := s.Keyring.Verify(token.WriteToken, row.StreamPath, writeToken)
		if err != nil || of.Tenant != k.Tenant || of.Consumer != k.Consumer || of.Epoch != k.Epoch {
			return Verified{}, ErrForeignToken
		}
	}
	left := time.Duration(max(row.LeaseRemainingMs, 0)) * time.Millisecond
	if !row.InForce || row.LeaseExpiresAt == nil {
		lost := &LostError{Key: k, Status: row.Status, Cause: row.ReleaseCause, CurrentEpoch: row.CurrentEpoch}
		if row.LeaseExpiresAt != nil {
			lost.LeaseRemaining = &left
		}
		return Verified{}, lost
	}
	return Verified{
		Key: k, EntityURL: row.EntityURL, StreamPath: row.StreamPath, RunnerID: row.RunnerID, ClaimedAt: row.ClaimedAt,
		LeaseExpiresAt: *row.LeaseExpiresAt, LeaseRemaining: left,
	}, nil
}
