package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
)

const tick = 20 * time.Millisecond

// later sends a request and delivers its answer.
func later(t *testing.T, s *server.Server, method, path, body string, headers ...string) <-chan answer {
	t.Helper()
	out := make(chan answer, 1)
	ctx := context.WithoutCancel(t.Context())
	go func() { out <- ask(ctx, t, s, method, path, body, headers...) }()
	return out
}

// hold keeps the dispatch row of /demo/one locked until it is let go.
func hold(t *testing.T, d *dbtest.Database) (letGo func()) {
	t.Helper()
	tx, err := d.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = 0")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM wakelatch.entity_dispatch_state WHERE entity_url = '/demo/one' FOR UPDATE")
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback(t.Context())) }
}

// blocked waits until somebody waits for a lock in the database.
func blocked(t *testing.T, d *dbtest.Database) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		err := d.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n)
		return err == nil && n > 0
	}, patience, tick)
}

func longPolls(t *testing.T, s *server.Server, path string) <-chan answer {
	t.Helper()
	poll := later(t, s, "GET", path, "")
	require.Eventually(t, func() bool {
		families, err := s.Registry().Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "wakelatch_long_polls" {
				return f.GetMetric()[0].GetGauge().GetValue() > 0
			}
		}
		return false
	}, patience, tick)
	return poll
}

func TestADrainingNodeEndsLongPollsAndFinishesRequests(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	s := start(t, d, func(o *server.Options) { o.DrainDelay = 200 * time.Millisecond; o.LongPoll = time.Minute })
	spawn(t, s)
	tail := must(t, s, 200, "HEAD", "/demo/one/main", "").header.Get("Stream-Next-Offset")
	poll := longPolls(t, s, "/demo/one/main?live=long-poll&offset="+tail)
	version := later(t, s, "GET", "/_electric/entities/demo/one?live=long-poll&version=1000", "")
	letGo := hold(t, d)
	send := later(t, s, "POST", "/_electric/entities/demo/one/send", `{"payload":1}`)
	blocked(t, d)

	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	require.Eventually(t, func() bool {
		got := ask(t.Context(), t, s, "GET", "/readyz", "")
		return got.err == nil && got.status == http.StatusServiceUnavailable
	}, patience, tick, "the balancer is told before anything ends")

	for _, waiting := range []<-chan answer{poll, version} {
		got := <-waiting
		require.NoError(t, got.err)
		require.Equal(t, http.StatusNoContent, got.status, "%s", got.body)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request under way: %v", err)
	case got := <-send:
		t.Fatalf("answered although its row is locked: %d", got.status)
	default:
	}
	letGo()
	got := <-send
	require.NoError(t, got.err)
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	require.NoError(t, <-stopped)
	require.NoError(t, s.Err())
	require.Error(t, ask(t.Context(), t, s, "GET", "/healthz", "").err)
}

// Each part is stopped before those that it needs: the hints of the last requests are sent, and heard, before that ends.
func TestAStopIsTheBootBackwards(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	s, err := server.New(server.Options{
		DatabaseURL: dbtest.New(t).DSN, Logger: slog.New(slog.NewJSONHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	var parts []string
	for line := range strings.Lines(said.String()) {
		var stopped struct {
			Msg  string `json:"msg"`
			Part string `json:"part"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &stopped))
		if stopped.Msg == "stopped" {
			parts = append(parts, stopped.Part)
		}
	}
	require.Equal(t, []string{
		"readiness", "drain delay", "long-polls", "http server", "jobs", "loops", "publisher", "listener", "jobs pool", "database pool",
	}, parts)
}

func TestAStopThatRunsOutOfTimeIsCutShort(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	s, err := server.New(server.Options{DatabaseURL: d.DSN})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	spawn(t, s)
	letGo := hold(t, d)
	send := later(t, s, "POST", "/_electric/entities/demo/one/send", `{"payload":1}`)
	blocked(t, d)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, s.Stop(ctx), "stop http server")
	require.Error(t, (<-send).err, "the connection is closed")
	letGo()
}

func TestARequestIsFinishedWithoutItsCaller(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	s := start(t, d)
	spawn(t, s)
	letGo := hold(t, d)
	ctx, hangUp := context.WithCancel(t.Context())
	gone := make(chan answer, 1)
	go func() {
		gone <- ask(ctx, t, s, "POST", "/_electric/entities/demo/one/send", `{"payload":"from a caller that hung up"}`)
	}()
	blocked(t, d)
	hangUp()
	require.ErrorIs(t, (<-gone).err, context.Canceled)
	letGo()
	require.Eventually(t, func() bool {
		var n int
		err := d.Pool.QueryRow(t.Context(), "SELECT count(*) FROM wakelatch.stream_messages WHERE convert_from(body, 'UTF8') LIKE '%hung up%'").Scan(&n)
		return err == nil && n == 1
	}, patience, tick)
}

func TestADatabaseThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	postgres := dbtest.NewServer(t)
	d := postgres.New(t)
	s := start(t, d)
	spawn(t, s)
	require.NoError(t, postgres.Interrupt(t.Context(), localpg.Fast))
	send := later(t, s, "POST", "/_electric/entities/demo/one/send", `{"payload":1}`)
	must(t, s, 200, "GET", "/readyz", "")
	must(t, s, 200, "GET", "/healthz", "")
	require.NoError(t, postgres.Resume(t.Context()))
	got := <-send
	require.NoError(t, got.err)
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	require.NoError(t, s.Err())
}

// An append is sent once. A node that has not heard of its token waits for the database with the question, too.
func TestATokenIsAskedAboutWhenTheDatabaseIsBack(t *testing.T) {
	t.Parallel()
	postgres := dbtest.NewServer(t)
	d := postgres.New(t)
	a, b := start(t, d), start(t, d)
	spawn(t, a)
	event := strings.Trim(string(must(t, a, 200, "GET", "/runners/r1/wake?offset=-1", "").body), "[]")
	claimed := must(t, a, 200, "POST", "/_electric/runners/r1/claim", event)
	consumer := claimed.field(t, "consumerId")
	confirmed := must(t, a, 200, "POST", "/_electric/wake-callbacks/"+consumer, `{"wakeId":"`+consumer+`"}`,
		"Electric-Claim-Token", claimed.field(t, "claimToken"))

	require.NoError(t, postgres.Interrupt(t.Context(), localpg.Fast))
	written := later(t, b, "POST", "/demo/one/main", `[{"a":1}]`, "Electric-Claim-Token", confirmed.field(t, "writeToken"))
	require.Eventually(t, func() bool {
		metrics := string(must(t, b, 200, "GET", "/metrics", "").body)
		return !strings.Contains(metrics, `wakelatch_token_lookups_total{result="error"} 0`)
	}, patience, tick, "the database is asked in vain")
	require.NoError(t, postgres.Resume(t.Context()))
	got := <-written
	require.NoError(t, got.err)
	require.Equal(t, http.StatusNoContent, got.status, "%s", got.body)
}

func TestADatabaseThatStaysAwayIs503(t *testing.T) {
	t.Parallel()
	postgres := dbtest.NewServer(t)
	d := postgres.New(t)
	s := start(t, d, func(o *server.Options) { o.RideOut = time.Second })
	spawn(t, s)
	require.NoError(t, postgres.Interrupt(t.Context(), localpg.Fast))
	for _, path := range []string{"/_electric/entities/demo/one/send", "/_electric/runners/r1/heartbeat"} {
		got := must(t, s, 503, "POST", path, `{"payload":1}`)
		require.NotEmpty(t, got.header.Get("Retry-After"))
		require.NotContains(t, string(got.body), "SQLSTATE")
	}
	wake := must(t, s, 503, "GET", "/runners/r1/wake?offset=-1", "")
	require.Equal(t, "5", wake.header.Get("Retry-After"))
	require.NoError(t, postgres.Resume(t.Context()))
	require.Eventually(t, func() bool {
		return ask(t.Context(), t, s, "POST", "/_electric/entities/demo/one/send", `{"payload":1}`).status == http.StatusOK
	}, patience, tick)
}
