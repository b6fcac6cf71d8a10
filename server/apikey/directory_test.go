package apikey_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
)

func TestAKeyStandsForItsHolder(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t))
	made, text := r.create()
	for range 3 {
		key, err := r.Check(t.Context(), text)
		require.NoError(t, err)
		require.Equal(t, apikey.Key{ID: made.ID, Tenant: "a", Principal: "user:alice", Role: apikey.Client}, key)
	}
	for name, wrong := range map[string]string{
		"nothing":         "",
		"a token":         "wlw.a.w_1.1." + strings.Repeat("A", 43),
		"cut":             text[:len(text)-1],
		"longer":          text + "a",
		"another secret":  text[:len(text)-26] + strings.Repeat("a", 26),
		"another id":      "wl_aaaaaaaaaaaa" + text[15:],
		"capital letters": strings.ToUpper(text),
		"the hash's bind": "wl_" + made.ID + "_" + strings.Repeat("2", 26),
	} {
		require.ErrorIs(t, r.check(wrong), apikey.ErrUnknown, name)
	}
	problems, err := testutil.GatherAndLint(r.registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestARevocationIsSeenWithoutANotification(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t))
	made, text := r.create()
	require.NoError(t, r.check(text))
	_, err := r.keys.Revoke(t.Context(), made.ID, "test", "test")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.check(text) != nil }, patience, tick)
	require.ErrorIs(t, r.check(text), apikey.ErrRevoked)

	_, gone := r.create()
	require.NoError(t, r.check(gone))
	_, err = r.pool.Exec(t.Context(), "DELETE FROM wakelatch.api_keys")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.check(gone) != nil }, patience, tick, "a row that is gone is no key")
}

func TestAKeyEndsWithItsTime(t *testing.T) {
	t.Parallel()
	// Nothing is read again, so it is the node's own clock that ends it.
	r := newRig(t, dbtest.New(t), func(o *apikey.Options) { o.Refresh = time.Minute })
	_, text := r.create(func(c *apikey.CreateRequest) { c.ExpiresIn = 300 * time.Millisecond })
	require.NoError(t, r.check(text))
	require.Eventually(t, func() bool { return r.check(text) != nil }, patience, tick)
	require.ErrorIs(t, r.check(text), apikey.ErrExpired)
	late := newRig(t, dbtest.New(t))
	_, text = late.create(func(c *apikey.CreateRequest) { c.ExpiresIn = time.Millisecond })
	require.Eventually(t, func() bool { return late.check(text) != nil }, patience, tick)
	require.ErrorIs(t, late.check(text), apikey.ErrExpired)
}

func TestStrangersCostOneStatementAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t), func(o *apikey.Options) { o.Refresh = time.Minute })
	_, text := r.create()
	require.NoError(t, r.check(text))
	before := r.counter.statements.Load()
	for range 100 {
		require.ErrorIs(t, r.check(text[:len(text)-26]+strings.ToLower(rand.Text()[:26])), apikey.ErrUnknown)
		require.ErrorIs(t, r.check("wl_nothing"), apikey.ErrUnknown)
	}
	require.Equal(t, before, r.counter.statements.Load(), "a wrong secret and a malformed key cost no statement")

	stranger := "wl_" + strings.ToLower(rand.Text()[:12]) + "_" + strings.ToLower(rand.Text()[:26])
	for range 100 {
		require.ErrorIs(t, r.check(stranger), apikey.ErrUnknown)
	}
	require.Equal(t, before+1, r.counter.statements.Load(), "an id that is not there is remembered")

	before = r.counter.statements.Load()
	var crowd sync.WaitGroup
	for range 1000 {
		crowd.Go(func() {
			err := r.check("wl_" + strings.ToLower(rand.Text()[:12]) + "_" + strings.ToLower(rand.Text()[:26]))
			if err == nil {
				t.Error("a key that was made up is taken")
			}
		})
	}
	crowd.Wait()
	require.Less(t, r.counter.statements.Load()-before, int64(500), "those that wait go together")
	require.NoError(t, r.check(text))
}

func TestAKnownKeyWorksWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	server := dbtest.NewServer(t)
	r := newRig(t, server.New(t), func(o *apikey.Options) { o.RideOut = time.Second })
	_, known := r.create()
	_, fresh := r.create()
	require.NoError(t, r.check(known))
	require.NoError(t, server.Interrupt(t.Context(), localpg.Immediate))
	away := time.Now()
	require.NoError(t, r.check(known), "it is in memory")

	// A key that this node has not seen waits for the database, and works if that is back in time.
	waiting := make(chan error, 1)
	go func() {
		_, err := r.Check(context.WithoutCancel(t.Context()), fresh)
		waiting <- err
	}()
	require.ErrorIs(t, <-waiting, batch.ErrUnavailable)
	require.GreaterOrEqual(t, time.Since(away), time.Second)
	require.Eventually(t, func() bool { return r.check(known) != nil }, patience, tick, "not for ever")
	require.ErrorIs(t, r.check(known), batch.ErrUnavailable, "it is not said to be wrong")

	require.NoError(t, server.Resume(t.Context()))
	require.Eventually(t, func() bool { return r.check(known) == nil && r.check(fresh) == nil }, patience, tick)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t), func(o *apikey.Options) { o.Refresh = time.Minute })
	_, err := r.pool.Exec(t.Context(), `
		INSERT INTO wakelatch.api_keys (id, tenant_id, secret_hash, principal, role, created_by)
		SELECT translate(lpad(i::text, 12, 'a'), '0189', 'bcde'), 'a',
		       sha256(('wl_' || translate(lpad(i::text, 12, 'a'), '0189', 'bcde') || '_' || repeat('a', 26))::bytea), 'user:alice', 'viewer', 'test'
		FROM generate_series(1, 5000) i`)
	require.NoError(t, err)
	all, err := r.keys.List(t.Context(), "")
	require.NoError(t, err)
	var crowd sync.WaitGroup
	for part := range 50 {
		crowd.Go(func() {
			for _, k := range all[part*100 : (part+1)*100] {
				if err := r.check("wl_" + k.ID + "_" + strings.Repeat("a", 26)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	crowd.Wait()
	require.Len(t, all, 5000)
	known := `
# HELP wakelatch_api_keys API keys that this node knows, those used within the last minute.
# TYPE wakelatch_api_keys gauge
wakelatch_api_keys 4096
`
	require.NoError(t, testutil.GatherAndCompare(r.registry, strings.NewReader(known), "wakelatch_api_keys"))
}

func TestAKeySendsOnlySoMuch(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t), func(o *apikey.Options) { o.Rate, o.Burst = 10, 5 })
	_, one := r.create()
	_, two := r.create()
	spend := func(text string) error {
		key, err := r.Check(t.Context(), text)
		require.NoError(t, err)
		return r.Spend(key)
	}
	refused := 0
	for range 20 {
		if err := spend(one); err != nil {
			var limited *apikey.LimitedError
			require.ErrorAs(t, err, &limited)
			require.LessOrEqual(t, limited.After, 100*time.Millisecond)
			refused++
		}
	}
	require.InDelta(t, 15, refused, 3)
	require.NoError(t, spend(two), "another key has a limit of its own")
	require.Eventually(t, func() bool { return spend(one) == nil }, patience, 150*time.Millisecond, "also after its row was read again")
}

func TestSomebodyElsesNameNeedsAClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.New(t))
	exec := func(sql string) {
		_, err := r.pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	works := func(tenant, owner, principal string) bool {
		ok, err := r.WorksFor(t.Context(), tenant, "/principal/"+owner, "/principal/"+principal)
		require.NoError(t, err)
		return ok
	}
	exec(`INSERT INTO wakelatch.runners (tenant_id, id, owner_principal, label, kind, wake_stream)
	      VALUES ('a', 'r1', '/principal/owner', '', '', ''), ('b', 'r1', '/principal/other', '', '', '')`)
	exec(`INSERT INTO wakelatch.entities (tenant_id, url, type, created_by, spawn_txid) VALUES ('a', '/demo/one', 'demo', '/principal/alice', '')`)
	require.False(t, works("a", "owner", "alice"))
	exec(`INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
	      VALUES ('a', 'w_1', 1, '/demo/one', 'demo/one/main', 'r1', 'idle', 0)`)
	require.True(t, works("a", "owner", "alice"))
	require.False(t, works("a", "owner", "bob"))
	require.False(t, works("a", "other", "alice"))
	require.False(t, works("b", "other", "alice"))
	exec(`UPDATE wakelatch.consumer_claims SET status = 'released', released_at = now(), release_cause = 'done', released_by = 'job', entity_cleared = true`)
	require.False(t, works("a", "owner", "alice"))
}
