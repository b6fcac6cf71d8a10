package demo

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/server/client"
)

const (
	runnerID   = "demo"
	entityType = "demo"
)

// names are those of the entities.
func names() []string {
	return []string{"ada", "blaise", "carl", "donald", "edsger", "frances", "grace", "haskell"}
}

// prepare makes the runner, the type and the entities known.
func prepare(ctx context.Context, c *client.Client) error {
	if _, err := c.RegisterRunner(ctx, runnerID, "runner of the demo"); err != nil {
		return fmt.Errorf("register runner: %w", err)
	}
	if _, err := c.RegisterType(ctx, entityType, runnerID); err != nil {
		return fmt.Errorf("register entity type: %w", err)
	}
	for _, name := range names() {
		if _, err := c.Spawn(ctx, entityType, name, client.Spawning{}); err != nil {
			return fmt.Errorf("spawn entity %q: %w", name, err)
		}
	}
	return nil
}

// send sends messages to the entities in turn, at least as many as were asked for, and goes on until the script is
// through, so that no fault meets an idle system.
func (s *script) send(ctx context.Context, c *client.Client) error {
	all := names()
	for n := 1; n <= maxMessages; n++ {
		select {
		case <-s.finished:
			if n > minMessages {
				return nil
			}
		default:
		}
		entity := "/" + entityType + "/" + all[n%len(all)]
		s.mu.Lock()
		s.facts.Sent[n] = entity
		s.mu.Unlock()
		// A repetition of a send with a key adds nothing.
		_, err := c.Send(ctx, entity, client.Sending{Payload: message{Number: n}, Key: fmt.Sprintf("message-%d", n)})
		if err != nil {
			return fmt.Errorf("send message %d to %s: %w", n, entity, err)
		}
		if err := pause(ctx, sendEvery); err != nil {
			return err
		}
	}
	return nil
}
