package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// AgentCommand is the command of this program that is the agent.
const AgentCommand = "demo-agent"

const (
	workTime      = 120 * time.Millisecond // for one message
	appendTimeout = 10 * time.Second
)

// The points of a wake at which an agent reports and waits.
const (
	begun   = "begun"   // the messages are read, nothing is written
	written = "written" // every message is handled and written, the exit with 0 is next
	haunted = "haunted" // it appended after its claim was over
)

// report is what an agent says.
type report struct {
	At       string   `json:"at"`
	Entity   string   `json:"entity"`
	Wake     string   `json:"wake"`
	Epoch    int64    `json:"epoch"`
	Runner   int      `json:"runner"` // the process that started it
	Messages []int    `json:"messages"`
	Answers  []Answer `json:"answers,omitempty"`
}

// Answer is what an orphan got for its append.
type Answer struct {
	Node   string `json:"node"`
	Status int    `json:"status"`
}

// order is what it is told to do next; nothing in it means to go on.
type order struct {
	// Haunt maps names of nodes to their URLs: append at each, with the token of a claim that is over.
	Haunt map[string]string `json:"haunt,omitempty"`
}

// message and handled are the values of the events in the streams of the demo.
type message struct {
	Number int `json:"number"`
}

type handling struct {
	Message int   `json:"message"`
	Epoch   int64 `json:"epoch"`
}

func handled(n int, epoch int64) map[string]any {
	return map[string]any{
		"type": "handled", "key": fmt.Sprintf("handled-%d-%d", n, epoch), "value": handling{Message: n, Epoch: epoch},
		"headers": map[string]string{"operation": "insert"},
	}
}

// agent is the program that the demo's runners run for every wake.
type agent struct {
	env    func(string) string
	stdout io.Writer
	in     *json.Decoder
	out    *json.Encoder
	self   report
}

// Agent is the agent's whole life. It reports to the demo at desk, and ends when that does.
func Agent(ctx context.Context, desk string, env func(string) string, stdin io.Reader, stdout io.Writer) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", desk)
	if err != nil {
		return fmt.Errorf("reach the demo at %s: %w", desk, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	a := &agent{env: env, stdout: stdout, in: json.NewDecoder(conn), out: json.NewEncoder(conn)}
	a.self = report{Entity: env("WAKELATCH_ENTITY"), Wake: env("WAKELATCH_WAKE"), Runner: os.Getppid()}
	if _, err := fmt.Sscan(env("WAKELATCH_EPOCH"), &a.self.Epoch); err != nil {
		return fmt.Errorf("epoch %q in WAKELATCH_EPOCH: %w", env("WAKELATCH_EPOCH"), err)
	}
	if a.self.Messages, err = numbers(stdin); err != nil {
		return err
	}
	return a.work(ctx)
}

func (a *agent) work(ctx context.Context) error {
	if _, err := a.report(begun); err != nil {
		return err
	}
	for _, n := range a.self.Messages {
		if err := pause(ctx, workTime); err != nil {
			return err
		}
		if err := json.NewEncoder(a.stdout).Encode(handled(n, a.self.Epoch)); err != nil {
			return fmt.Errorf("write message %d: %w", n, err)
		}
	}
	told, err := a.report(written)
	if err != nil || len(told.Haunt) == 0 {
		return err
	}
	for node, url := range told.Haunt {
		status, err := a.haunt(ctx, url)
		if err != nil {
			return err
		}
		a.self.Answers = append(a.self.Answers, Answer{Node: node, Status: status})
	}
	if _, err := a.report(haunted); err != nil {
		return err
	}
	return errors.New("the runner that started this agent is gone")
}

// report says where the wake is, and waits to be told to go on.
func (a *agent) report(at string) (order, error) {
	a.self.At = at
	if err := a.out.Encode(a.self); err != nil {
		return order{}, fmt.Errorf("report to the demo: %w", err)
	}
	var told order
	if err := a.in.Decode(&told); err != nil {
		return order{}, fmt.Errorf("wait for the demo: %w", err)
	}
	return told, nil
}

// haunt appends that the messages are handled, as the agent did before its claim was over.
func (a *agent) haunt(ctx context.Context, url string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	var events []any
	for _, n := range a.self.Messages {
		events = append(events, handled(n, a.self.Epoch))
	}
	body, err := json.Marshal(events)
	if err != nil {
		return 0, fmt.Errorf("encode append: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+a.env("WAKELATCH_STREAM"), bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("append at %s: %w", url, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("electric-claim-token", a.env("WAKELATCH_TOKEN"))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("append at %s: %w", url, err)
	}
	return answer.StatusCode, answer.Body.Close()
}

// numbers are those of the messages on stdin.
func numbers(stdin io.Reader) ([]int, error) {
	var all []int
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		var e struct {
			Value struct {
				Payload message `json:"payload"`
			} `json:"value"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read message %q: %w", lines.Text(), err)
		}
		all = append(all, e.Value.Payload.Number)
	}
	return all, lines.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
