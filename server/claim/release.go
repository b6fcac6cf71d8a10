package claim

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Cause is why a claim is released.
type Cause string

// Causes of a release.
const (
	CauseDone    Cause = "done"
	CauseExpired Cause = "expired"
	CauseKilled  Cause = "killed"
	// CauseHandedBack is a holder that gives its claim up: its work is to be done by another claim.
	CauseHandedBack Cause = "handed_back"
	// CauseForced is an operator who takes the claim from its holder.
	CauseForced Cause = "forced"
)

// By is what released a claim: its job, the sweep in the job's stead, or a request.
type By string

// Releasers.
const (
	ByJob    By = "job"
	BySweep  By = "sweep"
	BySignal By = "signal"
	ByHolder By = "holder"
	ByAdmin  By = "admin"
)

// Release is a set of claims to end for one cause.
type Release struct {
	Claims []args.Claim // at most args.MaxClaims, each once
	Cause  Cause
	By     By
	Actor  string // who is named in the history
	Reason string // why, in the actor's words; may be empty
}

// Released is what a queued Release did, valid after its pipeline ran and its transaction committed.
type Released struct {
	release Release
	rows    []db.ReleaseClaimsRow
	armed   *Armed
}

// ended is how many claims it ended.
func (d *Released) ended() int {
	n := 0
	for _, row := range d.rows {
		if row.Outcome == outcomeReleased {
			n++
		}
	}
	return n
}

// ReleaseDone releases claims whose done is recorded and completes its job in the same transaction.
// A claim already released, or ended before its done, is left as it is.
func (s *Service) ReleaseDone(ctx context.Context, claims []args.Claim, complete func(tx pgx.Tx) error) error {
	var p pg.Pipeline
	done := s.QueueRelease(&p, Release{Claims: claims, Cause: CauseDone, By: ByJob, Actor: "system:job"})
	err := pg.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := p.Run(ctx, tx); err != nil {
			return err
		}
		return complete(tx)
	})
	if err != nil {
		return fmt.Errorf("release %d claims: %w", len(claims), err)
	}
	s.Announce(ctx, done)
	return nil
}

// QueueRelease adds the statements of a release: the locks in order, the release, the next wakes, and the
// notification of every node. All of it commits together or not at all. Announce follows the commit.
func (s *Service) QueueRelease(p *pg.Pipeline, r Release) *Released {
	q := s.queries
	k := columnsOf(r.Claims, keyOf)
	events, payloads := endedEvents(r.Claims)
	causes := make([]string, len(r.Claims))
	for i := range causes {
		causes[i] = string(r.Cause)
	}
	done := &Released{release: r}
	QueueLocks(p, q, r.Claims)
	pg.Many(p, &done.rows, func(ctx context.Context, conn pg.Conn) ([]db.ReleaseClaimsRow, error) {
		return q.ReleaseClaims(ctx, conn, db.ReleaseClaimsParams{
			Ords: pg.Ords(len(r.Claims)), TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs, Causes: causes,
			ReleasedBy: string(r.By), Actor: r.Actor, Reason: r.Reason, GraceMs: s.graceMs(),
			BackoffMs: s.Backoff.Milliseconds(), BackoffMaxMs: s.BackoffMax.Milliseconds(), ParkAfter: s.parkAfter(),
		})
	})
	done.armed = Arm(p, q, candidatesOf(r.Claims))
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.NotifyEnded(ctx, conn, db.NotifyEndedParams{
			Channel: notify.Channel, TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs, Events: events, Payloads: payloads,
		})
	})
	return done
}

// QueueLocks locks everything that these claims hold, in order.
func QueueLocks(p *pg.Pipeline, q *db.Queries, claims []args.Claim) {
	k := columnsOf(claims, keyOf)
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockDispatchOfClaims(ctx, conn, db.LockDispatchOfClaimsParams{
			TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs,
		})
	})
	lockClaims(p, q, k)
	lockLeases(p, q, k)
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockEntitiesOfClaims(ctx, conn, db.LockEntitiesOfClaimsParams{
			TenantIDs: k.tenants, ConsumerIDs: k.consumers, Epochs: k.epochs,
		})
	})
	lockStreamsOfClaims(p, q, k)
}

func candidatesOf(claims []args.Claim) []Candidate {
	var out []Candidate
	for _, c := range claims {
		if entityURL, ok := EntityURL(c.Stream); ok {
			out = append(out, Candidate{Tenant: c.Tenant, EntityURL: entityURL, WakeID: NewWakeID()})
		}
	}
	return out
}

// endedEvents say, each in the form it has inside a payload, that the epochs of these claims are over, and
// which of them share a payload. Which are sent is decided by the statement that knows what has ended.
func endedEvents(claims []args.Claim) (events []string, payloads []int32) {
	events, payloads = make([]string, len(claims)), make([]int32, len(claims))
	size, payload := 0, int32(0)
	for i, c := range claims {
		alone := notify.Encode([]notify.Event{{Kind: notify.KindClaim, Tenant: c.Tenant, Key: c.Stream, Number: c.Epoch}})[0]
		events[i] = alone[1 : len(alone)-1]
		if size += len(events[i]) + 1; size >= notify.MaxPayload {
			size, payload = len(events[i])+1, payload+1
		}
		payloads[i] = payload
	}
	return events, payloads
}

// Announce tells this node what a committed release changed; the other nodes learn it by the transaction's
// own notification.
func (s *Service) Announce(ctx context.Context, done *Released) {
	for _, row := range done.rows {
		s.metrics.countRelease(done.release, row)
		switch row.Outcome {
		case outcomeReleased:
			if row.BacksOff {
				time.AfterFunc(s.Backoff, s.Nudge)
			}
			if row.ParkedReason != "" {
				s.Logger.WarnContext(ctx, "entity is parked until an operator un-parks it",
					"tenant_id", row.TenantID, "entity_url", row.EntityURL, "reason", row.ParkedReason)
			}
			s.View.Drop(row.TenantID, row.StreamPath, row.Epoch)
			if row.Version > 0 {
				s.Announcer.EntityChanged(row.TenantID, row.EntityURL, row.Version)
			}
		case outcomeStale:
			s.Logger.InfoContext(ctx, "done of an older epoch changed its own claim only",
				"tenant_id", row.TenantID, "consumer_id", row.ConsumerID, "epoch", row.Epoch,
				"current_epoch", row.CurrentEpoch, "entity_url", row.EntityURL)
		}
	}
	s.AnnounceArmed(done.armed)
}

// Outcomes of a release, as the statement names them. Kept is a claim that is not to end, or not yet.
const (
	outcomeReleased = "released"
	outcomeStale    = "stale"
	outcomeKept     = "kept"
)
