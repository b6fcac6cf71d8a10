package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/client"
)

func TestAWakeIsHandledOverTwoNodes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(func(ctx context.Context, w *client.Wake) error {
		if w.Entity().URL != entity || w.Epoch() != 1 || w.Token() == "" || w.Stream() != entity+"/main" {
			return fmt.Errorf("the wake is %+v", w)
		}
		if err := w.SetTag(ctx, "mood", "good"); err != nil {
			return err
		}
		if err := w.DeleteTag(ctx, "old"); err != nil {
			return err
		}
		return echo(t)(ctx, w)
	})
	_, err := r.Spawn(t.Context(), "demo", "one", client.Spawning{Message: "hello", Tags: map[string]string{"old": "yes"}, Args: map[string]int{"n": 1}})
	require.NoError(t, err)
	r.handled(entity)
	require.Equal(t, []string{"re: hello"}, r.texts(entity))
	e, err := r.Entity(t.Context(), entity)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(map[string]string{"mood": "good"}, e.Tags))
	require.JSONEq(t, `{"n":1}`, string(e.SpawnArgs))
	require.Equal(t, "idle", e.Status)
	require.Equal(t, []string{"released"}, r.claims())
}

func TestManyEntitiesAtOnceButNotMoreThanAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var now atomic.Int64
	var tooMany atomic.Bool
	var once sync.Once
	full := make(chan struct{})
	r.run(func(ctx context.Context, w *client.Wake) error {
		n := now.Add(1)
		defer now.Add(-1)
		if n == 3 {
			once.Do(func() { close(full) })
		}
		tooMany.Store(tooMany.Load() || n > 3)
		// The first three wait for each other, so that they are at work together.
		select {
		case <-full:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return echo(t)(ctx, w)
	}, func(o *client.RunnerOptions) { o.Concurrency = 3 })
	for i := range 6 {
		r.spawn(fmt.Sprint("e", i), "hello")
	}
	for i := range 6 {
		r.handled(fmt.Sprint("/demo/e", i))
	}
	require.False(t, tooMany.Load())
}

func TestAFailedHandlerLeavesItsInputPending(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var attempts atomic.Int64
	r.run(func(ctx context.Context, w *client.Wake) error {
		if err := echo(t)(ctx, w); err != nil {
			return err
		}
		if attempts.Add(1) < 3 {
			return errors.New("not this time")
		}
		return nil
	})
	r.spawn("one", "hello")
	r.handled(entity)
	require.Equal(t, []string{"failed", "failed", "released"}, r.claims())
	require.Equal(t, []string{"re: hello", "re: hello", "re: hello"}, r.texts(entity))
}

// What comes while a wake is at work is not acknowledged with it, and what it wrote is no input of the next.
func TestAMessageDuringAWakeIsTheNextOnes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var inputs atomic.Value
	inputs.Store([]string{})
	r.run(func(ctx context.Context, w *client.Wake) error {
		var texts []string
		for _, m := range w.Messages() {
			texts = append(texts, payload(t, m.Payload))
		}
		inputs.Store(append(inputs.Load().([]string), strings.Join(texts, "+")))
		if w.Epoch() == 1 {
			if _, err := r.Send(ctx, entity, client.Sending{Payload: "second"}); err != nil {
				return err
			}
		}
		return echo(t)(ctx, w)
	})
	r.spawn("one", "first")
	r.eventually(func() bool { return len(r.claims()) == 2 }, "there is no second wake")
	r.handled(entity)
	require.Equal(t, []string{"first", "second"}, inputs.Load())
	require.Equal(t, []string{"re: first", "re: second"}, r.texts(entity))
}

// A wake that nothing is written in acknowledges what it read.
func TestASilentHandlerHandlesItsInput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(func(context.Context, *client.Wake) error { return nil })
	r.spawn("one", "hello")
	r.handled(entity)
	require.Equal(t, []string{"released"}, r.claims())
}

func TestOfTwoProcessesWithOneRunnerIDOneTakesEachWake(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 2 {
		r.run(echo(t), func(o *client.RunnerOptions) { o.Concurrency = 4 })
	}
	var want []string
	for i := range 8 {
		r.spawn(fmt.Sprint("e", i), strconv.Itoa(i))
		want = append(want, fmt.Sprint("re: ", i))
	}
	for i := range 8 {
		url := fmt.Sprint("/demo/e", i)
		r.handled(url)
		require.Equal(t, want[i:i+1], r.texts(url))
	}
}

func TestARestartedRunnerReadsOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	run := r.run(echo(t))
	r.spawn("one", "hello")
	r.handled(entity)
	require.NoError(t, run.stopped())
	claims := r.line.count(call.isClaim)

	r.run(echo(t))
	r.send("again")
	r.eventually(func() bool { return len(r.texts(entity)) == 2 }, "the second message is never handled")
	require.Equal(t, 1, r.line.count(call.isClaim)-claims, "a wake of before the restart was claimed again")
	offset, err := r.RegisterRunner(t.Context(), "r1", "test")
	require.NoError(t, err)
	require.NotEqual(t, client.Beginning, offset)
}

func TestARegistrationThatIsRefusedEndsTheRunner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	runner, err := client.NewRunner(r.Client, client.RunnerOptions{ID: "r/1", Handle: echo(t)})
	require.NoError(t, err)
	err = runner.Run(t.Context())
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.ErrorContains(t, err, `register runner "r/1"`)
	r.Close()
}

// Registering a type again replaces it, so what a runner does not know of must be sent back as it was.
func TestARunnerKeepsWhatATypeSays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before, err := r.RegisterType(t.Context(), "demo", "")
	require.ErrorContains(t, err, "runnerId")
	require.Empty(t, before)
	_, err = r.pool.Exec(t.Context(), `INSERT INTO wakelatch.entity_types (tenant_id, name, description, creation_schema)
		VALUES ('default', 'demo', 'kept', '{"type":"object"}')`)
	require.NoError(t, err)
	r.run(echo(t))
	// The type is there before the runner is, so that it is there says nothing: what the runner adds does.
	r.eventually(func() bool {
		var sent bool
		err := r.pool.QueryRow(t.Context(), `SELECT default_dispatch_policy IS NOT NULL FROM wakelatch.entity_types`).Scan(&sent)
		return err == nil && sent
	}, "the runner never registers its type")
	var description, schema string
	require.NoError(t, r.pool.QueryRow(t.Context(), `SELECT description, creation_schema::text FROM wakelatch.entity_types`).Scan(&description, &schema))
	require.Equal(t, "kept", description)
	require.JSONEq(t, `{"type":"object"}`, schema)
	r.spawn("one", "hello")
	r.handled(entity)
	before, err = r.RegisterType(t.Context(), "demo", "r1")
	require.NoError(t, err)
	require.Equal(t, "r1", before)
}

func TestADelayedMessageComesLater(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(echo(t))
	r.spawn("one", nil)
	began := time.Now()
	txid, err := r.Send(t.Context(), entity, client.Sending{Payload: "later", After: 300 * time.Millisecond})
	require.NoError(t, err)
	require.Empty(t, txid)
	r.handled(entity)
	require.Equal(t, []string{"re: later"}, r.texts(entity))
	require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
	_, err = r.Send(t.Context(), entity, client.Sending{Payload: "never", After: 31 * 24 * time.Hour})
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Message, "afterMs")
}
