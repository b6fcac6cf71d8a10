package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// lines keeps what was logged and passes it on.
type lines struct {
	out io.Writer
	mu  sync.Mutex
	all [][]byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, bytes.Clone(b))
	return l.out.Write(b)
}

// request is the log line of the request with this id. It is written before a small answer leaves the
// server's buffer, so whoever has the answer finds the line.
func (l *lines) request(t *testing.T, id string) map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.all {
		var line map[string]any
		require.NoError(t, json.Unmarshal(text, &line))
		if line["request_id"] == id {
			return line
		}
	}
	return nil
}

// text is all that was logged.
func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.Join(l.all, nil))
}
