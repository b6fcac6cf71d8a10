package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/client"
)

func TestAURLMustBeANodes(t *testing.T) {
	for _, url := range []string{"", "localhost:8080", "ftp://host", "http://", "://"} {
		_, err := client.New(client.Options{URL: url})
		require.ErrorContains(t, err, "use http://host:port", url)
	}
	c, err := client.New(client.Options{URL: "https://wake.example/"})
	require.NoError(t, err)
	require.Equal(t, "https://wake.example", c.URL())
}

func TestARunnerMustBeWhole(t *testing.T) {
	c, err := client.New(client.Options{URL: "http://127.0.0.1:1"})
	require.NoError(t, err)
	for _, o := range []client.RunnerOptions{
		{Handle: echo(t)}, {ID: "r1"}, {ID: "r1", Handle: echo(t), Concurrency: -1}, {ID: "r1", Handle: echo(t), DrainTimeout: -1},
	} {
		_, err := client.NewRunner(c, o)
		require.Error(t, err)
	}
}

func TestACallWaitsForANodeUntilItsContextEnds(t *testing.T) {
	c, err := client.New(client.Options{URL: "http://127.0.0.1:1"})
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = c.Entity(ctx, entity)
	require.ErrorContains(t, err, "connection refused")
	require.Error(t, ctx.Err(), "it gave up early")

	runner, err := client.NewRunner(c, client.RunnerOptions{ID: "r1", Handle: echo(t)})
	require.NoError(t, err)
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, runner.Run(ctx), "a runner that is stopped before a node was there stopped in order")
}

func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	defer r.Close()
	_, err := r.Spawn(t.Context(), "none", "one", client.Spawning{})
	var refused *client.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "UNKNOWN_ENTITY_TYPE", refused.Code)
	require.ErrorContains(t, err, "PUT /_electric/entities/none/one: status 404 UNKNOWN_ENTITY_TYPE")
	_, err = r.Entity(t.Context(), "nonsense")
	require.ErrorContains(t, err, "use /type/id")
	_, err = r.Send(t.Context(), "/a/b/c", client.Sending{})
	require.ErrorContains(t, err, "use /type/id")
}

func TestPollWaitsForNews(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run(echo(t))
	r.spawn("one", nil)
	page, err := r.Read(t.Context(), entity+"/main", client.Beginning)
	require.NoError(t, err)
	require.True(t, page.UpToDate)
	txid, err := r.Send(t.Context(), entity, client.Sending{Payload: "hello", Key: "k1", Type: "greeting", Mode: "queued"})
	require.NoError(t, err)
	again, err := r.Send(t.Context(), entity, client.Sending{Payload: "hello", Key: "k1"})
	require.NoError(t, err)
	require.Equal(t, txid, again)
	for found := false; !found; {
		page, err = r.Poll(t.Context(), entity+"/main", page.Next, page.Cursor)
		require.NoError(t, err)
		for _, e := range page.Events {
			found = found || (e.Type == "text" && payload(t, e.Value) == "re: hello")
		}
	}
}
