package dbtest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// binary is the test binary's server. It is the one value of this package that outlives a test, because
// a test binary has no other place to keep what its tests share.
var binary shared

type shared struct {
	once   sync.Once
	server *Server
	err    error
}

func (s *shared) get() (*Server, error) {
	s.once.Do(func() { s.server, s.err = start() })
	return s.server, s.err
}

// Main runs a package's tests, stops the server they used, looks for goroutines they left behind and
// exits. It is the whole body of a TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if binary.server != nil {
		if err := binary.server.stop(); err != nil {
			complain(err)
			code = max(code, 1)
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			complain(err)
			code = 1
		}
	}
	os.Exit(code)
}

func complain(err error) { fmt.Fprintln(os.Stderr, "dbtest:", err) }
