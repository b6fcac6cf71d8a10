package inspect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/inspect"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// statements are those that went to the database one by one.
type statements struct {
	mu   sync.Mutex
	sent []pgx.TraceQueryStartData
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, data)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A page is read in a few hundred blocks, whichever page it is and whoever else there is, and also by the plan that a
// prepared statement keeps. Of 60,000 claims entity /demo/busy and runner r1 have 20,000 each.
func TestAPageCostsWhatItShows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claims("/demo/busy", "r1", "released", 1, 20_000)
	for n := range 40 {
		r.claims(fmt.Sprintf("/demo/e%d", n), fmt.Sprintf("x%d", n), "released", 1, 1000)
	}
	r.claims("/demo/bad", "r2", "expired", 30_000, 300)
	r.entity("/demo/one", "running")
	r.claimed("1 hour")
	r.exec(`INSERT INTO wakelatch.actions (tenant_id, id, action, entity_url, runner_id, actor, at)
		SELECT 'default', 'a' || i, 'signalled', '/demo/busy', 'r1', 'x', timestamptz '2026-01-01' + i * interval '1 second' FROM generate_series(1, 5000) i`)
	r.exec(`ANALYZE`)

	seen := &statements{}
	pool, err := pg.NewPool(t.Context(), pg.PoolOptions{DSN: r.pool.Config().ConnString(), MaxConns: 1, Tracer: seen})
	require.NoError(t, err)
	defer pool.Close()
	service := inspect.New(inspect.Options{Pool: pool, RideOut: time.Second})
	for _, request := range []inspect.ClaimsRequest{
		{}, {Runner: "r1"}, {Entity: "/demo/busy"}, {Status: "active"}, {Status: "active", Runner: "r1"}, {Status: "expired"}, {Status: "failed", Runner: "r1"},
	} {
		request.Tenant, request.Limit = tenant, 10
		for range 3 {
			_, next, err := service.Claims(t.Context(), request)
			require.NoError(t, err)
			if request.After = next; next == "" {
				break
			}
		}
	}
	for subject, read := range map[string]historyOf{"/demo/busy": service.EntityHistory, "r1": service.RunnerHistory} {
		request := inspect.HistoryRequest{Tenant: tenant, Subject: subject, Limit: 10}
		for range 3 {
			_, request.After, err = read(t.Context(), request)
			require.NoError(t, err)
		}
	}
	_, err = service.Dispatch(t.Context(), tenant, "/demo/busy")
	require.ErrorIs(t, err, inspect.ErrNotFound)
	_, err = service.Dispatch(t.Context(), tenant, "/demo/one")
	require.NoError(t, err)

	require.Greater(t, len(seen.sent), 25)
	for _, s := range seen.sent {
		require.Less(t, r.blocks("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+s.SQL, s.Args...), 600.0, "%s\n%v", s.SQL, s.Args)
		require.Less(t, r.genericBlocks(s), 600.0, "the kept plan of %s\n%v", s.SQL, s.Args)
	}
}

// blocks is how many blocks a statement looks at.
func (r *rig) blocks(sql string, args ...any) float64 {
	r.t.Helper()
	var text string
	require.NoError(r.t, r.pool.QueryRow(r.t.Context(), sql, args...).Scan(&text), sql)
	var plan []struct {
		Plan map[string]any `json:"Plan"`
	}
	require.NoError(r.t, json.Unmarshal([]byte(text), &plan))
	hit, _ := plan[0].Plan["Shared Hit Blocks"].(float64)
	read, _ := plan[0].Plan["Shared Read Blocks"].(float64)
	return hit + read
}

// genericBlocks is blocks of the plan that knows no parameter.
func (r *rig) genericBlocks(s pgx.TraceQueryStartData) float64 {
	r.t.Helper()
	var literals []string
	for _, arg := range s.Args {
		text := fmt.Sprint(arg)
		switch v := arg.(type) {
		case time.Time:
			text = v.Format(time.RFC3339Nano)
		case []string, []int64, []int32:
			words := strings.Trim(fmt.Sprint(v), "[]")
			text = "{" + strings.ReplaceAll(words, " ", ",") + "}"
		}
		literals = append(literals, "'"+strings.ReplaceAll(text, "'", "''")+"'")
	}
	conn, err := r.pool.Acquire(r.t.Context())
	require.NoError(r.t, err)
	defer conn.Release()
	_, err = conn.Exec(r.t.Context(), "SET plan_cache_mode = force_generic_plan; PREPARE kept AS "+s.SQL, pgx.QueryExecModeSimpleProtocol)
	require.NoError(r.t, err)
	var text string
	execute := "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE kept(" + strings.Join(literals, ", ") + ")"
	require.NoError(r.t, conn.QueryRow(r.t.Context(), execute, pgx.QueryExecModeSimpleProtocol).Scan(&text), execute)
	_, err = conn.Exec(r.t.Context(), "DEALLOCATE kept; RESET plan_cache_mode", pgx.QueryExecModeSimpleProtocol)
	require.NoError(r.t, err)
	var plan []struct {
		Plan map[string]any `json:"Plan"`
	}
	require.NoError(r.t, json.Unmarshal([]byte(text), &plan))
	hit, _ := plan[0].Plan["Shared Hit Blocks"].(float64)
	read, _ := plan[0].Plan["Shared Read Blocks"].(float64)
	return hit + read
}
