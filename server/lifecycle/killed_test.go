package lifecycle_test

import (
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/sql/dbtest"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func killedBetweenConfirmAndAppend(t story) {
	c := newCluster(t)
	a, b := c.startProcess(), c.start()
	wakes := b.oneWake()
	w := a.work(wakes.next())
	a.kill()
	w.mustAppend(b)
	w.done(b)
	w.released(b, "idle")
	restarted := c.startProcess()
	b.send("one", "again")
	c.finished(restarted, b, restarted, b, wakes.next())
	c.consistent()
	c.sweepReleasedNothing(b, restarted)
}

func killedBetweenAppendAndDone(t story) {
	c := newCluster(t)
	a, b := c.startProcess(), c.start()
	w := a.work(b.oneWake().next())
	w.mustAppend(a)
	a.kill()
	restarted := c.startProcess()
	require.Equal(t, 1, restarted.metric("wakelatch_tokens"), "a node that starts knows whose claims are active")
	w.mustAppend(restarted)
	w.done(restarted)
	w.released(b, "idle")
	c.consistent()
	c.sweepReleasedNothing(b, restarted)
}

// killedBeforeTheJobRan pauses River's queue, so that the job cannot have begun on the node that dies.
func killedBeforeTheJobRan(t story) {
	c := newCluster(t)
	c.exec(`INSERT INTO public.river_queue (name, created_at, updated_at, paused_at) VALUES ('release', now(), now(), now())`)
	a := c.startProcess()
	w := a.work(a.oneWake().next())
	w.mustAppend(a)
	w.done(a)
	require.Equal(t, "available", value[string](c, `SELECT state::text FROM river_job`))
	require.Equal(t, "active", w.row(a).Status)
	a.kill()
	c.exec(`UPDATE public.river_queue SET paused_at = NULL`)
	b := c.start(withoutSweep)
	w.released(b, "idle")
	require.Equal(t, "job", *w.row(b).ReleasedBy)
	c.consistent()
}

func withoutSweep(o *server.Options) { o.SweepDisabled = true }

// dieInsideTheJob finishes a wake on a node that is killed while its release job waits for a row.
func dieInsideTheJob(c *cluster, changes ...change) *wake {
	c.t.Helper()
	a := c.startProcess(changes...)
	w := a.work(a.oneWake().next())
	w.mustAppend(a)
	defer c.holdDispatch()()
	w.done(a)
	c.blocked(1, "LockDispatch")
	require.Equal(c.t, "running", value[string](c, `SELECT state::text FROM river_job`))
	a.kill()
	return w
}

func killedInsideTheJobWithTheSweep(t story) {
	c := newCluster(t)
	w := dieInsideTheJob(c)
	w.expire() // which means nothing any more: the work is done
	b := c.start()
	row := w.released(b, "idle")
	require.Equal(t, "done", *row.ReleaseCause)
	require.Equal(t, "sweep", *row.ReleasedBy, "a node killed inside the job costs seconds, not the rescue")
	c.consistent()
}

func killedInsideTheJobWithoutTheSweep(t story) {
	c := newCluster(t)
	w := dieInsideTheJob(c, withoutSweep)
	job := value[int64](c, `SELECT id FROM river_job`)
	b := c.start(withoutSweep)
	// River's rescuer comes by every 30 s, on its leader, for jobs that began more than 10 s ago.
	c.within(3*time.Minute, func() bool {
		return value[bool](c, `SELECT state = 'completed' AND attempt = 2 FROM river_job WHERE id = $1`, job)
	}, "the job was not rescued")
	row := w.released(b, "idle")
	require.Equal(t, "job", *row.ReleasedBy)
	c.consistent()
}

// nodeFrozenInsideATransaction stops a node between the release's statements and its commit.
func nodeFrozenInsideATransaction(t story) {
	c := newCluster(t)
	a := c.startProcess() // alone at first, so that the job is its own
	w := a.work(a.oneWake().next())
	w.mustAppend(a)
	free := c.holdCommit()
	defer free()
	w.done(a)
	c.blocked(1, "river_job")
	a.signal(syscall.SIGSTOP)
	free()
	c.eventually(func() bool {
		return value[int64](c, `SELECT count(*) FROM pg_stat_activity
			WHERE state = 'idle in transaction' AND datname = current_database() AND pid <> pg_backend_pid()`) > 0
	}, "no transaction was left open")
	b := c.start()
	b.send("one", "meanwhile")
	w.released(b, "idle")
	a.signal(syscall.SIGCONT)

	// Work on another entity waits behind whoever meets a held row for no longer than the lock time-out,
	// however long the row is held.
	b.spawn("two", "hello")
	free = c.holdDispatch()
	defer free()
	var got answer
	var err error
	var waiting sync.WaitGroup
	waiting.Go(func() { got, err = b.trySend("one", "after the row is free") })
	c.blocked(1, "LockDispatch")
	began := time.Now()
	b.send("two", "nobody waits for a frozen node")
	require.Less(t, time.Since(began), 2*pg.LockTimeout)
	free()
	waiting.Wait()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.status, "%s", got.body)
	c.consistent()
}

// doneWhilePostgresRestarts has a server of its own, which the other tests do not notice.
func doneWhilePostgresRestarts(t story) {
	own := dbtest.NewServer(t)
	database := own.New(t)
	c := clusterOn(t, database.DSN, database.Pool)
	a, b := c.two()
	w := a.work(a.oneWake().next())
	w.mustAppend(b)
	require.NoError(t, own.Interrupt(t.Context(), localpg.Immediate))
	var got answer
	var err error
	var waiting sync.WaitGroup
	waiting.Go(func() { got, err = w.try(b, w.doneBody(w.nextOffset)) })
	c.eventually(func() bool { return b.metric("wakelatch_batch_retries_total", `batch="done"`) > 0 }, "the done never met the outage")
	require.NoError(t, own.Resume(t.Context()))
	waiting.Wait()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.status, "a short outage is not seen by the runner: %s", got.body)
	w.released(a, "idle")
	require.EqualValues(t, 1, value[int64](c, `SELECT count(*) FROM river_job`), "the done was recorded once")
	c.consistent()
}
