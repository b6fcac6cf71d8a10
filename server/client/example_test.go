package client_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/wakelatch/wakelatch/server/client"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// An agent that answers every message, and a user that sends it one and reads the answer.
func Example() {
	url, stop := exampleNode()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c, err := client.New(client.Options{URL: url})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	runner, err := client.NewRunner(c, client.RunnerOptions{
		ID: "r1", Types: []string{"demo"},
		Handle: func(ctx context.Context, w *client.Wake) error {
			for _, m := range w.Messages() {
				answer := map[string]any{"type": "text", "value": "you said " + string(m.Payload)}
				if err := w.Append(ctx, answer); err != nil {
					return err
				}
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	running, finish := context.WithCancel(ctx)
	defer finish()
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(running) }()

	agent, err := spawn(ctx, c)
	if err != nil {
		fmt.Println(err)
		return
	}
	for offset, cursor := client.Beginning, ""; ; {
		page, err := c.Poll(ctx, agent.Stream(), offset, cursor)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range page.Events {
			fmt.Println(e.Type)
			if e.Type == "text" {
				fmt.Println(string(e.Value))
				finish()
				fmt.Println("stopped:", <-ended)
				return
			}
		}
		offset, cursor = page.Next, page.Cursor
	}
	// Output:
	// inbox
	// text
	// "you said \"hello\""
	// stopped: <nil>
}

// Appends that need not wait for each other are queued: many go in one request.
func ExampleWake_Queue() {
	handle := func(ctx context.Context, w *client.Wake) error {
		for i := range 1000 {
			if err := w.Queue(ctx, map[string]any{"type": "step", "value": i}); err != nil {
				return err
			}
		}
		// The wake is done only once all of it is stored; Flush is for a handler that must know before.
		return w.Flush(ctx)
	}
	n, err := exampleRun(handle, "step")
	fmt.Println(n, err)
	// Output: 1000 <nil>
}

// A tag is what everybody sees of an entity without reading its stream.
func ExampleWake_SetTag() {
	handle := func(ctx context.Context, w *client.Wake) error {
		return w.SetTag(ctx, "state", "thinking")
	}
	n, err := exampleRun(handle, "tags")
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// A message with a key is the same message however often it is sent.
func ExampleClient_Send() {
	url, stop := exampleNode()
	defer stop()
	c, err := client.New(client.Options{URL: url})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()
	if _, err := c.RegisterRunner(ctx, "r1", "an example's"); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.RegisterType(ctx, "demo", "r1"); err != nil {
		fmt.Println(err)
		return
	}
	agent, err := c.Spawn(ctx, "demo", "one", client.Spawning{})
	if err != nil {
		fmt.Println(err)
		return
	}
	first, err := c.Send(ctx, agent.URL, client.Sending{Payload: "pay the invoice", Key: "invoice-7"})
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := c.Send(ctx, agent.URL, client.Sending{Payload: "pay the invoice", Key: "invoice-7"})
	fmt.Println(first == second, err)
	// Output: true <nil>
}

// spawn makes an entity as soon as its type is registered.
func spawn(ctx context.Context, c *client.Client) (client.Entity, error) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		made, err := c.Spawn(ctx, "demo", "one", client.Spawning{Message: "hello"})
		if err == nil {
			return made, nil
		}
		select {
		case <-ctx.Done():
			return client.Entity{}, err
		case <-tick.C:
		}
	}
}

// exampleRun sees one wake through with a handler and counts the events of a type in the stream.
func exampleRun(handle client.Handler, eventType string) (n int, err error) {
	url, stop := exampleNode()
	defer stop()
	return exampleRunOn(url, handle, eventType)
}

// exampleRunOn is exampleRun on a node that is there.
func exampleRunOn(url string, handle client.Handler, eventType string) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.Options{URL: url})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	running, finish := context.WithCancel(ctx)
	runner, err := client.NewRunner(c, client.RunnerOptions{
		ID: "r1", Types: []string{"demo"},
		Handle: func(ctx context.Context, w *client.Wake) error {
			defer finish()
			return handle(ctx, w)
		},
	})
	if err != nil {
		finish()
		return 0, err
	}
	spawned := make(chan error, 1)
	go func() {
		_, err := spawn(ctx, c)
		spawned <- err
	}()
	// The stop waits for the wake that asked for it.
	if err := runner.Run(running); err != nil {
		return 0, err
	}
	if err := <-spawned; err != nil {
		return 0, err
	}
	page, err := c.Read(ctx, "/demo/one/main", client.Beginning)
	for _, e := range page.Events {
		if e.Type == eventType {
			n++
		}
	}
	return n, err
}

// exampleNode starts a node on a database of its own: examples have no testing.T to do it with.
func exampleNode() (url string, stop func()) {
	tb := &exampleTB{}
	url = "http://" + startNode(tb, dbtest.New(tb).DSN)
	return url, tb.end
}

// exampleTB is as much of a test as the helpers need. What fails ends the test binary.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (tb *exampleTB) Helper()                           {}
func (tb *exampleTB) Context() context.Context          { return context.Background() }
func (tb *exampleTB) Cleanup(f func())                  { tb.cleanups = append(tb.cleanups, f) }
func (tb *exampleTB) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (tb *exampleTB) FailNow()                          { panic("an example's node failed") }
func (tb *exampleTB) Output() io.Writer                 { return io.Discard }

func (tb *exampleTB) end() {
	for _, f := range slices.Backward(tb.cleanups) {
		f()
	}
}
