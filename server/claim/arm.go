package claim

import (
	"context"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// The wait before a wake that nobody claimed is appended again; it doubles up to the bound.
const (
	emitAgainAfter = 10 * time.Second
	emitAgainMax   = 5 * time.Minute
)

// Candidate is an entity that is armed if it needs a wake. WakeID is the wake's id if it does; it is made
// before the first attempt, so that a retry does not make a second wake.
type Candidate struct {
	Tenant    string
	EntityURL string
	WakeID    string
}

// Armed is what arming did: the entities that got a wake and the wake streams that grew.
type Armed struct {
	Wakes   []db.ArmEntitiesRow
	Streams []db.AppendWakeEventsRow
}

// Announcer tells readers that a stream or an entity moved on: local ones in memory, other nodes' after
// the commit. *stream.Hub is one.
type Announcer interface {
	StreamChanged(tenant, path string, tail int64)
	EntityChanged(tenant, url string, version int64)
}

// announce tells the readers of the wake streams that grew.
func (a *Armed) announce(to Announcer) {
	for _, s := range a.Streams {
		to.StreamChanged(s.TenantID, s.Path, s.Tail)
	}
}

// Arm ends an operation that holds the candidates' dispatch rows: those with pending work, no claim and no
// wake out get generation+1 and a wake event on their runner's wake stream.
func Arm(p *pg.Pipeline, q *db.Queries, candidates []Candidate) *Armed {
	armed := &Armed{}
	c := candidateColumns(candidates)
	arm(p, q, c, armed)
	emit(p, q, c, armed)
	return armed
}

func arm(p *pg.Pipeline, q *db.Queries, c columns, armed *Armed) {
	pg.Many(p, &armed.Wakes, func(ctx context.Context, conn pg.Conn) ([]db.ArmEntitiesRow, error) {
		return q.ArmEntities(ctx, conn, db.ArmEntitiesParams{
			TenantIDs: c.tenants, EntityURLs: c.urls, WakeIDs: c.wakes, EmitAgainMs: emitAgainAfter.Milliseconds(),
		})
	})
}

type columns struct{ tenants, urls, wakes []string }

func candidateColumns(candidates []Candidate) columns {
	c := columns{
		tenants: make([]string, len(candidates)),
		urls:    make([]string, len(candidates)),
		wakes:   make([]string, len(candidates)),
	}
	for i, candidate := range candidates {
		c.tenants[i], c.urls[i], c.wakes[i] = candidate.Tenant, candidate.EntityURL, candidate.WakeID
	}
	return c
}

// emit appends the wake events of those candidates whose wake is the outstanding one. A transaction emits
// once, so that its wake streams are one ordered set of locks.
func emit(p *pg.Pipeline, q *db.Queries, c columns, armed *Armed) {
	p.Exec(func(ctx context.Context, conn pg.Conn) error {
		return q.LockWakeStreams(ctx, conn, db.LockWakeStreamsParams{TenantIDs: c.tenants, EntityURLs: c.urls, WakeIDs: c.wakes})
	})
	pg.Many(p, &armed.Streams, func(ctx context.Context, conn pg.Conn) ([]db.AppendWakeEventsRow, error) {
		return q.AppendWakeEvents(ctx, conn, db.AppendWakeEventsParams{TenantIDs: c.tenants, EntityURLs: c.urls, WakeIDs: c.wakes})
	})
}

// AnnounceArmed counts the wakes that an operation of another package made and tells their readers.
func (s *Service) AnnounceArmed(armed *Armed) {
	s.metrics.armed.Add(float64(len(armed.Wakes)))
	armed.announce(s.Announcer)
}
