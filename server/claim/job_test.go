package claim_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/jobs/args"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// enqueue notes dones of the claims in one job of the test's making.
func (r *rig) enqueue(claims ...held) {
	r.t.Helper()
	job := args.ReleaseClaims{}
	for _, h := range claims {
		r.exec(`UPDATE wakelatch.consumer_claims SET done_at = statement_timestamp(), done_outcome = 'succeeded' WHERE consumer_id = $1`, h.Consumer)
		job.Claims = append(job.Claims, h.arg())
	}
	require.NoError(r.t, pg.InTx(r.t.Context(), r.db.Pool, func(tx pgx.Tx) error {
		return r.jobs.InsertRelease(r.t.Context(), tx, job)
	}))
}

// inJob are the claims that the one job still has.
func (r *rig) inJob() []args.Claim {
	r.t.Helper()
	var job args.ReleaseClaims
	require.NoError(r.t, json.Unmarshal(value[[]byte](r, `SELECT args FROM river_job`), &job))
	return job.Claims
}

// One claim's release fails every time: the others are released all the same, and only it stays in the job.
func TestJobKeepsOnlyTheClaimsThatFailed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(5)
	r.poison(claims[2])
	r.enqueue(claims...)
	r.work()
	require.Eventually(t, func() bool { return len(r.inJob()) == 1 }, patience, 10*time.Millisecond)
	require.Equal(t, []args.Claim{claims[2].arg()}, r.inJob())
	for i, h := range claims {
		if i != 2 {
			require.Equal(t, "released", r.status(h))
		}
	}
	r.exec(`ALTER TABLE wakelatch.consumer_claims DROP CONSTRAINT poison`)
	require.Eventually(t, func() bool { return value[string](r, `SELECT state::text FROM river_job`) == "completed" }, patience, 10*time.Millisecond)
	require.Equal(t, "released", r.status(claims[2]))
	r.consistent()
}

// The first claims of a job wait for locks until its time is over: those it did not get to are what the next
// attempt begins with.
func TestJobGetsToEveryClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	claims := r.claimed(8)
	locked, free := claims[:7], claims[7]
	holder, err := r.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = 0`)
	require.NoError(t, err)
	for _, h := range locked {
		_, err = holder.Exec(t.Context(), `SELECT 1 FROM wakelatch.streams WHERE path = $1 FOR UPDATE`, h.path)
		require.NoError(t, err)
	}
	r.enqueue(claims...)
	r.work()
	require.Eventually(t, func() bool { return r.status(free) == "released" }, patience, 10*time.Millisecond)
	require.NoError(t, holder.Rollback(t.Context()))
	require.Eventually(t, func() bool { return value[string](r, `SELECT state::text FROM river_job`) == "completed" }, patience, 10*time.Millisecond)
	for _, h := range locked {
		require.Equal(t, "released", r.status(h))
	}
	r.consistent()
}

// commits counts transactions: those begun and committed by hand, and pipelines that are one by themselves.
type commits struct {
	n        atomic.Int64
	explicit sync.Map // connections inside a transaction
}

func (c *commits) TraceQueryStart(ctx context.Context, conn *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	switch d.SQL {
	case "begin":
		c.explicit.Store(conn, true)
	case "commit":
		c.explicit.Delete(conn)
		c.n.Add(1)
	case "rollback":
		c.explicit.Delete(conn)
	default:
		c.statement(conn)
	}
	return ctx
}

func (c *commits) statement(conn *pgx.Conn) {
	if _, inside := c.explicit.Load(conn); !inside {
		c.n.Add(1)
	}
}

func (c *commits) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *commits) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.statement(conn)
	return ctx
}
func (c *commits) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (c *commits) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// 64 dones that leave one barrier are recorded and released in at most 16 commits.
func TestDonesShareCommits(t *testing.T) {
	t.Parallel()
	const dones, limit = 64, 16
	counted := &commits{}
	r := newRig(t, func(o *claim.Options) {
		pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: o.Pool.Config().ConnString(), ApplicationName: "traced", Tracer: counted})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		o.Pool = pool
	})
	claims := r.claimed(dones)
	r.work()
	counted.n.Store(0)
	barrier := make(chan struct{})
	errs := make(chan error, dones)
	for _, h := range claims {
		go func() {
			<-barrier
			_, err := r.claims.Done(t.Context(), claim.DoneRequest{Key: h.Key})
			errs <- err
		}()
	}
	close(barrier)
	for range dones {
		require.NoError(t, <-errs)
	}
	recorded := counted.n.Load()
	require.Eventually(t, func() bool {
		return value[int](r, `SELECT count(*) FROM wakelatch.consumer_claims WHERE status = 'released'`) == dones
	}, patience, 5*time.Millisecond)
	all := counted.n.Load()
	t.Logf("%d dones: %d commits recorded them, %d with the releases", dones, recorded, all)
	require.Positive(t, recorded)
	require.LessOrEqual(t, all, int64(limit))
	r.consistent()
}

// A heartbeat changes nothing that is indexed, so its row stays where it is and no index grows.
func TestHeartbeatsAreHOT(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *claim.Options) {
		pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: o.Pool.Config().ConnString(), ApplicationName: "one", MaxConns: 1})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		o.Pool = pool
	})
	const beats = 20
	claims := r.claimed(10)
	for range beats {
		all := make(chan error, len(claims))
		for _, h := range claims {
			go func() {
				_, err := r.claims.Heartbeat(t.Context(), h.Key)
				all <- err
			}()
		}
		for range claims {
			require.NoError(t, <-all)
		}
	}
	_, err := r.claims.Pool.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return value[int](r, `SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'claim_leases'`) == beats*len(claims)
	}, patience, 10*time.Millisecond)
	// Now and then a page is full of versions that somebody may still see.
	require.Greater(t, value[int](r, `SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'claim_leases'`), beats*len(claims)/2)
}
