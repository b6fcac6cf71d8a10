package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// restartAfter is how long what was killed stays away: long enough for the others to be asked instead.
const restartAfter = time.Second

// faults is how many processes are killed, each in its turn.
const faults = 2

// Facts are what no row can show: what the demo itself did, and what the orphan was answered.
type Facts struct {
	// Sent are the numbers of the messages sent, and to which entity.
	Sent map[int]string
	// NodeKill and RunnerKill are the wakes that were under way, zero if nothing was killed.
	NodeKill, RunnerKill Kill
	// Stale is what the orphan was answered.
	Stale []Answer
}

// Kill is what was killed, and the claim that was active then.
type Kill struct {
	Process string
	Entity  string
	Wake    string
	Epoch   int64
}

// script decides at which agent's report a fault comes. It is called by many agents at once.
type script struct {
	nodes    []*member
	runners  []*member
	crew     *crew
	balancer *Balancer
	rows     *rows
	news     func(format string, args ...any)
	// The faults come when so many messages have been handled.
	nodeAt, runnerAt int

	failed   func(error) // is told what keeps the script from going on
	killed   chan *member
	finished chan struct{} // closed when every fault has happened and what was killed is back

	replaced chan struct{} // closed when the claim that took over has handled the messages
	haunted  chan struct{} // closed when the orphan has reported its append

	mu          sync.Mutex
	facts       Facts
	handled     int
	wakes       map[string]int // by the name of the runner
	nodeTaken   bool           // some agent was given this fault
	runnerTaken bool
	back        int // of what was killed
}

// prepare makes what the script needs of its own.
func (s *script) prepare() {
	s.killed = make(chan *member, len(s.nodes)+len(s.runners))
	s.finished, s.replaced, s.haunted = make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.facts.Sent, s.wakes = map[int]string{}, map[string]int{}
}

// run starts again what was killed, and ends when every fault is over or with ctx.
func (s *script) run(ctx context.Context) {
	for range faults {
		select {
		case m := <-s.killed:
			err := pause(ctx, restartAfter)
			if err == nil {
				err = s.crew.start(ctx, m)
			}
			if err != nil {
				s.failed(err)
				return
			}
			s.news("%s is back", m.name)
			s.mu.Lock()
			s.back++
			s.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
	if await(ctx, s.haunted) == nil {
		close(s.finished)
	}
}

// at handles an agent's report and returns when the agent may go on.
func (s *script) at(ctx context.Context, r report) (order, error) {
	switch r.At {
	case begun:
		if s.isFor(&s.nodeTaken, func() bool { return s.handled >= s.nodeAt }) {
			return order{}, s.killNode(ctx, r)
		}
	case written:
		s.count(r)
		switch {
		case s.isSuccessor(r):
			return order{}, s.takeOver(ctx, r)
		case s.isFor(&s.runnerTaken, func() bool { return s.back > 0 && s.handled >= s.runnerAt }):
			return s.killRunner(ctx, r)
		}
	case haunted:
		s.noteHaunted(r)
	}
	return order{}, nil
}

// isFor gives a fault to the first agent that comes when it is due.
func (s *script) isFor(taken *bool, due func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *taken || !due() {
		return false
	}
	*taken = true
	return true
}

func (s *script) count(r report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled += len(r.Messages)
	if m := s.runnerOf(r); m != nil {
		s.wakes[m.name]++
	}
}

// runnerOf is the runner that started an agent, nil if it has been killed since.
func (s *script) runnerOf(r report) *member {
	i := slices.IndexFunc(s.runners, func(m *member) bool { return m.pid() == r.Runner })
	if i < 0 {
		return nil
	}
	return s.runners[i]
}

// killNode kills the node that confirmed this agent's claim, while the claim is active.
func (s *script) killNode(ctx context.Context, r report) error {
	i, known := s.balancer.ConfirmedBy(r.Wake)
	active, err := s.rows.confirmed(ctx, r)
	if err != nil {
		return s.fail(err)
	}
	if !known || !active {
		return s.fail(fmt.Errorf("the claim of %s epoch %d is not the confirmed one that its agent says it is", r.Entity, r.Epoch))
	}
	node := s.nodes[i]
	if err := node.kill(); err != nil {
		return s.fail(err)
	}
	s.mu.Lock()
	s.facts.NodeKill = Kill{Process: node.name, Entity: r.Entity, Wake: r.Wake, Epoch: r.Epoch}
	s.mu.Unlock()
	s.news("killed %s, which had confirmed the active claim of %s epoch %d", node.name, r.Entity, r.Epoch)
	s.killed <- node
	return nil
}

// killRunner kills the runner of an agent that is about to say done, and sends the orphan to append once more when
// another claim of the entity has handled the messages.
func (s *script) killRunner(ctx context.Context, r report) (order, error) {
	runner := s.runnerOf(r)
	if runner == nil {
		return order{}, s.fail(fmt.Errorf("the agent of %s was started by process %d, which is no runner", r.Entity, r.Runner))
	}
	// Handled and written is what the stream says, not the agent.
	if err := s.rows.awaitHandled(ctx, r); err != nil {
		return order{}, s.fail(err)
	}
	s.mu.Lock()
	s.facts.RunnerKill = Kill{Process: runner.name, Entity: r.Entity, Wake: r.Wake, Epoch: r.Epoch}
	s.mu.Unlock()
	if err := runner.kill(); err != nil {
		return order{}, s.fail(err)
	}
	s.news("killed %s between claim and done of %s epoch %d; its agent lives on", runner.name, r.Entity, r.Epoch)
	s.killed <- runner
	if err := await(ctx, s.replaced); err != nil {
		return order{}, err
	}
	s.news("the agent of epoch %d now appends once more, on each node", r.Epoch)
	haunt := map[string]string{}
	for _, node := range s.nodes {
		haunt[node.name] = "http://" + node.where()
	}
	return order{Haunt: haunt}, nil
}

// isSuccessor is true of the first agent that handled the dead runner's messages again.
func (s *script) isSuccessor(r report) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	dead := s.facts.RunnerKill
	if dead.Process == "" || r.Entity != dead.Entity || r.Epoch <= dead.Epoch {
		return false
	}
	select {
	case <-s.replaced:
		return false
	default:
		return true
	}
}

// takeOver holds the agent that took over until the orphan has appended: the new claim is active and has written, so
// that a stale event stands behind its own.
func (s *script) takeOver(ctx context.Context, r report) error {
	if err := s.rows.awaitHandled(ctx, r); err != nil {
		return s.fail(err)
	}
	by := "a process that is gone"
	if m := s.runnerOf(r); m != nil {
		by = m.name
	}
	s.news("%s, pid %d, took over as epoch %d and handled the messages again", by, r.Runner, r.Epoch)
	close(s.replaced)
	return await(ctx, s.haunted)
}

func (s *script) noteHaunted(r report) {
	s.mu.Lock()
	s.facts.Stale = r.Answers
	s.mu.Unlock()
	close(s.haunted)
	for _, a := range r.Answers {
		s.news("%s answered the append of an epoch that is over with %d", a.Node, a.Status)
	}
}

// fail ends the demo, and the connection of the agent that asked.
func (s *script) fail(err error) error {
	s.failed(err)
	return err
}

func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
