package claim

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// HandBack ends a claim on its holder's behalf without acknowledging anything: its input goes to the next
// claim, at once. It counts as a failure only if the entity's claim before it was handed back too, so that a
// runner that is stopped costs nothing and one that never works is slowed down. It is idempotent; a claim that
// is done or has ended is left as it is. The answer says whether the entity's next wake is out.
func (s *Service) HandBack(ctx context.Context, k Key, reason string) (wakeOut bool, err error) {
	c, err := s.Get(ctx, k)
	if err != nil {
		return false, err
	}
	return s.releaseOne(ctx, c, Release{
		Cause: CauseHandedBack, By: ByHolder, Actor: "runner:" + c.RunnerID, Reason: reason,
	})
}

// ForceRelease takes a claim from its holder: no write of its epoch lands any more, on any node, and pending
// work goes to the next claim. What a done has acknowledged stays acknowledged. It is idempotent; a claim that
// has ended is left as it is. The reason goes into the history.
func (s *Service) ForceRelease(ctx context.Context, k Key, actor, reason string) (Claim, error) {
	c, err := s.Get(ctx, k)
	if err != nil {
		return Claim{}, err
	}
	if c.Status != "active" {
		return c, nil
	}
	if _, err := s.releaseOne(ctx, c, Release{Cause: CauseForced, By: ByAdmin, Actor: actor, Reason: reason}); err != nil {
		return Claim{}, err
	}
	return s.Get(ctx, k)
}

// releaseOne releases the claim in a transaction of its own. An attempt whose answer was lost finds the claim
// ended, so the token goes whatever the last attempt found.
func (s *Service) releaseOne(ctx context.Context, c Claim, r Release) (wakeOut bool, err error) {
	r.Claims = []args.Claim{{Tenant: c.TenantID, Consumer: c.ConsumerID, Epoch: c.Epoch, Stream: c.StreamPath}}
	var done *Released
	var out []bool
	err = pg.RideOut(ctx, s.RideOut, func(ctx context.Context) error {
		var p pg.Pipeline
		done = s.QueueRelease(&p, r)
		pg.Many(&p, &out, func(ctx context.Context, conn pg.Conn) ([]bool, error) {
			return s.queries.WakeIsOut(ctx, conn, db.WakeIsOutParams{TenantID: c.TenantID, EntityURL: c.EntityURL})
		})
		return p.Run(ctx, s.Pool)
	})
	if err != nil {
		return false, fmt.Errorf("release claim %s epoch %d (%s): %w", c.ConsumerID, c.Epoch, r.Cause, err)
	}
	s.View.Drop(c.TenantID, c.StreamPath, c.Epoch)
	s.Announce(ctx, done)
	return len(out) == 1 && out[0], nil
}
