package notify_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
)

func event(n int64) notify.Event {
	return notify.Event{Kind: notify.KindClaim, Tenant: "default", Key: "demo/one/main", Number: n}
}

func sendRaw(tb testing.TB, pool *pgxpool.Pool, payload string) {
	tb.Helper()
	_, err := pool.Exec(tb.Context(), "select pg_notify($1, $2)", notify.Channel, payload)
	require.NoError(tb, err)
}

func sendEvent(tb testing.TB, pool *pgxpool.Pool, n int64) {
	tb.Helper()
	for _, p := range notify.Encode([]notify.Event{event(n)}) {
		sendRaw(tb, pool, p)
	}
}

// kill ends the listener's backend and reports whether there was one.
func kill(tb testing.TB, pool *pgxpool.Pool) bool {
	tb.Helper()
	tag, err := pool.Exec(tb.Context(), `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and application_name = 'listener-under-test'`)
	require.NoError(tb, err)
	return tag.RowsAffected() > 0
}

func TestListener(t *testing.T) {
	t.Parallel()
	db, h := dbtest.New(t), newHandler()
	l := notify.NewListener(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t)})
	require.False(t, l.Healthy())
	require.Positive(t, l.Disconnected())
	stop := run(t, l.Run)
	within(t, l.Ready(), "the first resync")
	require.True(t, l.Healthy())
	require.Zero(t, l.Disconnected())
	require.Len(t, h.resyncs, 1)

	for n := range int64(100) {
		sendEvent(t, db.Pool, n)
	}
	for n := range int64(100) {
		require.Equal(t, event(n), within(t, h.events, "an event"))
	}
	stop()
	require.False(t, l.Healthy())
	require.Positive(t, l.Disconnected())
}

// An event that is committed while a resync runs is handled then and there.
func TestEventsDuringAResync(t *testing.T) {
	t.Parallel()
	db, h := dbtest.New(t), newHandler()
	h.resync = func(context.Context) error {
		sendEvent(t, db.Pool, 1) //nolint:contextcheck // it uses the test's
		require.Equal(t, event(1), within(t, h.events, "the event during the resync"))
		return nil
	}
	l := notify.NewListener(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t)})
	run(t, l.Run)
	within(t, l.Ready(), "the first resync")
}

func TestListenerRidesOut(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, db *dbtest.Database, p *proxy){
		"its backend is terminated": func(t *testing.T, db *dbtest.Database, _ *proxy) {
			t.Helper()
			require.True(t, kill(t, db.Pool))
		},
		"its connection is reset": func(_ *testing.T, _ *dbtest.Database, p *proxy) { p.cut() },
		"its peer falls silent": func(_ *testing.T, _ *dbtest.Database, p *proxy) {
			p.setSilent(true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, h := dbtest.New(t), newHandler()
			direct := config(t, db.DSN)
			p := newProxy(t, address(direct))
			reg := prometheus.NewRegistry()
			l := notify.NewListener(fast(notify.Options{
				ConnConfig: p.through(direct), Handler: h, Log: logger(t), Registerer: reg,
			}))
			// The listener is unhealthy from the loss until its resync, which
			// is where the test looks.
			lost := make(chan bool, 100)
			h.resync = func(context.Context) error {
				lost <- l.Healthy()
				p.setSilent(false)
				return nil
			}
			run(t, l.Run)
			within(t, l.Ready(), "the first resync")
			within(t, h.resyncs, "the first resync's end")
			require.False(t, within(t, lost, "the first resync's health"))

			lose(t, db, p)
			if name == "its peer falls silent" {
				require.Eventually(t, func() bool { return !l.Healthy() }, patience, 5*time.Millisecond)
				require.Zero(t, value(t, reg, "wakelatch_listener_connected"))
				p.setSilent(false)
			}
			within(t, h.resyncs, "the resync after the loss")
			require.False(t, within(t, lost, "the second resync's health"), "it was healthy before it had resynced")
			sendEvent(t, db.Pool, 2)
			require.Equal(t, event(2), within(t, h.events, "an event after the loss"))
			require.GreaterOrEqual(t, value(t, reg, "wakelatch_listener_reconnects_total"), 1.0)
		})
	}
}

func TestListenerRidesOutAnOutage(t *testing.T) {
	t.Parallel()
	server, h := dbtest.NewServer(t), newHandler()
	db := server.New(t)
	l := notify.NewListener(fast(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t)}))
	run(t, l.Run)
	within(t, h.resyncs, "the first resync")
	require.NoError(t, server.Interrupt(t.Context(), localpg.Immediate))
	require.Eventually(t, func() bool { return !l.Healthy() && l.Disconnected() > 0 }, patience, 5*time.Millisecond)
	require.NoError(t, server.Resume(t.Context()))
	within(t, h.resyncs, "the resync after the outage")
	db.Pool.Reset()
	sendEvent(t, db.Pool, 3)
	require.Equal(t, event(3), within(t, h.events, "an event after the outage"))
}

// A listener that starts before its database does waits for it.
func TestAFailedResyncConnectsAgain(t *testing.T) {
	t.Parallel()
	db, h := dbtest.New(t), newHandler()
	failures := 3
	h.resync = func(context.Context) error {
		if failures--; failures >= 0 {
			return errors.New("rows are not there yet")
		}
		return nil
	}
	reg := prometheus.NewRegistry()
	l := notify.NewListener(fast(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t), Registerer: reg}))
	run(t, l.Run)
	within(t, l.Ready(), "a resync that succeeds")
	require.InDelta(t, 3, value(t, reg, "wakelatch_listener_reconnects_total"), 0)
	require.InDelta(t, 1, value(t, reg, "wakelatch_listener_resyncs_total"), 0)
}

func TestAResyncIsBounded(t *testing.T) {
	t.Parallel()
	db, h := dbtest.New(t), newHandler()
	hang := true
	h.resync = func(ctx context.Context) error {
		if hang {
			hang = false
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	}
	o := fast(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t)})
	o.ResyncTimeout = 100 * time.Millisecond
	l := notify.NewListener(o)
	run(t, l.Run)
	within(t, l.Ready(), "the resync after one that hung")
}

func TestAMalformedPayloadCausesAResync(t *testing.T) {
	t.Parallel()
	db, h := dbtest.New(t), newHandler()
	reg := prometheus.NewRegistry()
	l := notify.NewListener(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t), Registerer: reg})
	run(t, l.Run)
	within(t, h.resyncs, "the first resync")
	for _, payload := range []string{"", "garbage", `[["tail"]]`, `[["resync","","",0]]`} {
		sendRaw(t, db.Pool, payload)
		within(t, h.resyncs, "the resync after "+payload)
	}
	sendEvent(t, db.Pool, 1)
	require.Equal(t, event(1), within(t, h.events, "an event"))
	require.True(t, l.Healthy(), "a bad payload is no reason to hang up")
	require.Zero(t, value(t, reg, "wakelatch_listener_reconnects_total"))
	require.InDelta(t, 3, value(t, reg, "wakelatch_notifications_total", "malformed"), 0)
	require.InDelta(t, 1, value(t, reg, "wakelatch_notifications_total", "claim"), 0)

	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// A quiet connection is pinged, and events arrive whether a ping is under way
// or not.
func TestPingsLoseNothing(t *testing.T) {
	t.Parallel()
	db, h := dbtest.New(t), newHandler()
	reg := prometheus.NewRegistry()
	o := fast(notify.Options{ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t), Registerer: reg})
	o.PingInterval, o.PingTimeout = time.Millisecond, patience
	l := notify.NewListener(o)
	run(t, l.Run)
	within(t, l.Ready(), "the first resync")
	for n := range int64(300) {
		sendEvent(t, db.Pool, n)
	}
	for n := range int64(300) {
		require.Equal(t, event(n), within(t, h.events, "an event"))
	}
	require.Zero(t, value(t, reg, "wakelatch_listener_reconnects_total"))
}

func TestProbeMeasuresTheDelay(t *testing.T) {
	t.Parallel()
	db, h := dbtest.New(t), newHandler()
	reg, other := prometheus.NewRegistry(), prometheus.NewRegistry()
	o := notify.Options{
		ConnConfig: config(t, db.DSN), Handler: h, Log: logger(t), Registerer: reg,
		Prober: db.Pool, ProbeInterval: 20 * time.Millisecond,
	}
	run(t, notify.NewListener(o).Run)
	require.Eventually(t, func() bool { return value(t, reg, "wakelatch_notify_delay_seconds") >= 3 }, patience, 5*time.Millisecond)

	// The bystander's own probe, of number 1 as well, is still on its way.
	o.Handler, o.Registerer, o.Prober, o.ProbeInterval = newHandler(), other, lost{}, time.Hour
	bystander := notify.NewListener(o)
	run(t, bystander.Run)
	within(t, bystander.Ready(), "the first resync")
	sendRaw(t, db.Pool, `[["probe","","another node",1]]`)
	require.Eventually(t, func() bool { return value(t, other, "wakelatch_notifications_total", "probe") >= 3 }, patience, 5*time.Millisecond)
	require.Zero(t, value(t, other, "wakelatch_notify_delay_seconds"), "another node's probe measures nothing here")
	require.Empty(t, h.events, "a probe is not for the handler")
}

// lost is a pool whose notifications reach nobody.
type lost struct{}

func (lost) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, nil
}
