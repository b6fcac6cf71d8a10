package lifecycle_test

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func killedBetweenConfirmAndAppend(t *testing.T) {
	c := newCluster(t)
	a, b := c.startProcess(), c.start()
	b.prepare()
	b.spawn("one", "hello")
	wakes := b.inbox()
	w := a.claim(wakes.next())
	w.confirm(a)
	a.kill()
	w.mustAppend(b)
	w.done(b)
	w.released(b, "released", "idle")
	restarted := c.startProcess()
	b.send("one", "again")
	c.finished(restarted, b, restarted, b, wakes.next())
	c.consistent()
	c.sweepReleasedNothing(b, restarted)
}

func killedBetweenAppendAndDone(t *testing.T) {
	c := newCluster(t)
	a, b := c.startProcess(), c.start()
	b.prepare()
	b.spawn("one", "hello")
	w := a.claim(b.inbox().next())
	w.confirm(a)
	w.mustAppend(a)
	a.kill()
	restarted := c.startProcess()
	w.mustAppend(restarted)
	w.done(restarted)
	w.released(b, "released", "idle")
	c.consistent()
	c.sweepReleasedNothing(b, restarted)
}

// killedBeforeTheJobRan pauses River's queue, so that the job cannot have begun on the node that dies.
func killedBeforeTheJobRan(t *testing.T) {
	c := newCluster(t)
	c.exec(`INSERT INTO public.river_queue (name, created_at, updated_at, paused_at) VALUES ('release', now(), now(), now())`)
	a := c.startProcess()
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(a)
	w.mustAppend(a)
	w.done(a)
	require.Equal(t, "available", value[string](c, `SELECT state::text FROM river_job`))
	require.Equal(t, "active", w.row(a).Status)
	a.kill()
	c.exec(`UPDATE public.river_queue SET paused_at = NULL`)
	b := c.start(withoutSweep)
	w.released(b, "released", "idle")
	require.Equal(t, "job", *w.row(b).ReleasedBy)
	c.consistent()
}

func withoutSweep(o *server.Options) { o.SweepDisabled = true }

// dieInsideTheJob finishes a wake on a node that is killed while its release job waits for a row.
func dieInsideTheJob(c *cluster, changes ...change) *wake {
	c.t.Helper()
	a := c.startProcess(changes...)
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(a)
	w.mustAppend(a)
	held, err := c.pool.Begin(c.t.Context())
	require.NoError(c.t, err)
	defer func() { _ = held.Rollback(context.WithoutCancel(c.t.Context())) }()
	_, err = held.Exec(c.t.Context(), `SELECT 1 FROM wakelatch.entity_dispatch_state FOR UPDATE`)
	require.NoError(c.t, err)
	w.done(a)
	c.eventually(func() bool {
		return value[bool](c, `SELECT EXISTS (SELECT 1 FROM river_job WHERE state = 'running')
			AND EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())`)
	}, "the job never waited for the row")
	a.kill()
	return w
}

func killedInsideTheJobWithTheSweep(t *testing.T) {
	c := newCluster(t)
	w := dieInsideTheJob(c)
	b := c.start()
	row := w.released(b, "released", "idle")
	require.Equal(t, "sweep", *row.ReleasedBy, "a node killed inside the job costs seconds, not the rescue")
	c.consistent()
}

func killedInsideTheJobWithoutTheSweep(t *testing.T) {
	c := newCluster(t)
	w := dieInsideTheJob(c, withoutSweep)
	job := value[int64](c, `SELECT id FROM river_job`)
	b := c.start(withoutSweep)
	// River's rescuer comes by every 30 s, on its leader, for jobs that began more than 10 s ago.
	require.Eventually(t, func() bool {
		return value[bool](c, `SELECT state = 'completed' AND attempt = 2 FROM river_job WHERE id = $1`, job)
	}, 3*time.Minute, 10*reach, "the job was not rescued")
	row := w.released(b, "released", "idle")
	require.Equal(t, "job", *row.ReleasedBy)
	c.consistent()
}

// nodeFrozenInsideATransaction stops a node between the release's statements and its commit: the job's own
// row is held until the process is frozen, so the database waits for a client that says nothing.
func nodeFrozenInsideATransaction(t *testing.T) {
	c := newCluster(t)
	a := c.startProcess() // alone at first, so that the job is its own
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(a.inbox().next())
	w.confirm(a)
	w.mustAppend(a)
	held, err := c.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = held.Rollback(context.WithoutCancel(t.Context())) }()
	gate, err := c.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = gate.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = gate.Exec(t.Context(), `SELECT 1 FROM wakelatch.entity_dispatch_state FOR UPDATE`)
	require.NoError(t, err)
	w.done(a)
	c.eventually(func() bool {
		tag, err := held.Exec(t.Context(), `SELECT 1 FROM river_job WHERE state = 'running' FOR UPDATE`)
		return err == nil && tag.RowsAffected() == 1
	}, "the job never ran")
	require.NoError(t, gate.Rollback(t.Context()))
	c.eventually(func() bool {
		return value[int64](c, `SELECT count(*) FROM pg_stat_activity
			WHERE wait_event_type = 'Lock' AND query LIKE '%river_job%' AND datname = current_database()`) == 1
	}, "the release never came to complete its job")
	a.signal(syscall.SIGSTOP)
	require.NoError(t, held.Rollback(t.Context()))
	c.eventually(func() bool {
		return value[int64](c, `SELECT count(*) FROM pg_stat_activity
			WHERE state = 'idle in transaction' AND datname = current_database() AND pid <> pg_backend_pid()`) > 0
	}, "no transaction was left open")

	b := c.start()
	began := time.Now()
	b.spawn("two", "nobody waits for a frozen node")
	require.Less(t, time.Since(began), pg.LockTimeout+pg.IdleInTransactionTimeout)
	answered := b.do("POST", "/_electric/entities/demo/one/send", object{"payload": object{"text": "meanwhile"}})
	require.Equal(t, http.StatusOK, answered.status, "%s", answered.body)
	w.released(b, "released", "idle")
	a.signal(syscall.SIGCONT)
	c.consistent()
}

// doneWhilePostgresRestarts has a server of its own, which the other tests do not notice.
func doneWhilePostgresRestarts(t *testing.T) {
	own := dbtest.NewServer(t)
	database := own.New(t)
	c := clusterOn(t, database.DSN, database.Pool)
	a, b := c.two()
	a.prepare()
	a.spawn("one", "hello")
	w := a.claim(b.inbox().next())
	w.confirm(a)
	w.mustAppend(b)
	answered := make(chan answer, 1)
	require.NoError(t, own.Interrupt(t.Context(), localpg.Immediate))
	go func() {
		got, err := b.try("POST", w.callbackPath(), w.doneBody(w.nextOffset), "Authorization", "Bearer "+w.ClaimToken)
		if err != nil {
			got.body = []byte(err.Error())
		}
		answered <- got
	}()
	c.eventually(func() bool { return b.metric("wakelatch_batch_retries_total", `batch="done"`) > 0 }, "the done never met the outage")
	require.NoError(t, own.Resume(t.Context()))
	got := <-answered
	require.Equal(t, http.StatusOK, got.status, "a short outage is not seen by the runner: %s", got.body)
	w.released(a, "released", "idle")
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM river_job`), "the done was recorded once")
	c.consistent()
}
