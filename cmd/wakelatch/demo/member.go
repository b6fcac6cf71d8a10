package demo

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"time"
)

// State is what a process of the demo does.
type State string

// The states of a process.
const (
	Starting State = "starting"
	Up       State = "up"
	Killed   State = "killed"
)

// member is a node or a runner: a process that may be killed and started again.
type member struct {
	name  string
	args  []string
	ready *regexp.Regexp // its first group is what the member says of itself when it is ready

	mu      sync.Mutex
	process *os.Process
	ended   chan struct{}
	state   State
	since   time.Time
	address string
}

func (m *member) started(p *os.Process, ended chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.ended, m.state, m.since = p, ended, Starting, time.Now()
}

func (m *member) serves(address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.address, m.state, m.since = address, Up, time.Now()
}

func (m *member) wasKilled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state == Killed
}

// where is what the member said of itself when it was ready: a node its address.
func (m *member) where() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.address
}

func (m *member) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process.Pid
}

// kill ends the process with SIGKILL and returns when it is gone.
func (m *member) kill() error {
	m.mu.Lock()
	process, ended := m.process, m.ended
	m.state, m.since = Killed, time.Now()
	m.mu.Unlock()
	if err := process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", m.name, err)
	}
	<-ended
	return nil
}

// row is the member for the table.
func (m *member) row() Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Row{Name: m.name, State: m.state, For: time.Since(m.since)}
	if m.process != nil {
		r.PID = m.process.Pid
	}
	return r
}

// listener writes what a process says to its log, and looks for the one thing that is awaited.
type listener struct {
	log     io.Writer
	awaited *regexp.Regexp
	found   chan string
	text    []byte
	done    bool
}

// Write takes output as it comes.
func (l *listener) Write(b []byte) (int, error) {
	n, err := l.log.Write(b)
	if l.done || err != nil {
		return n, err
	}
	l.text = append(l.text, b...)
	for {
		line, rest, whole := bytes.Cut(l.text, []byte("\n"))
		if !whole {
			return n, nil
		}
		l.text = rest
		if match := l.awaited.FindSubmatch(line); match != nil {
			l.found <- string(match[len(match)-1])
			l.done, l.text = true, nil
			return n, nil
		}
	}
}
