package demo_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/cmd/wakelatch/demo"
)

// balanced is a balancer that serves, and its URL.
func balanced(t *testing.T, nodes ...string) (*demo.Balancer, string) {
	t.Helper()
	b := demo.NewBalancer(len(nodes))
	for i, address := range nodes {
		b.Place(i, address)
	}
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		require.NoError(t, <-ended)
	})
	return b, "http://" + l.Addr().String()
}

// node is a server whose answers are made by a function.
func node(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// echo answers with its name, the Host and the body it was sent.
func echo(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strings.Join([]string{name, r.Host, string(body)}, " ")) //nolint:gosec // no browser reads it
	}
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(nil)
	defer s.Close()
	return s.Listener.Addr().String()
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

func TestNodesAreAskedInTurn(t *testing.T) {
	b, url := balanced(t, node(t, echo("one")), node(t, echo("two")))
	host := strings.TrimPrefix(url, "http://")
	_, first := post(t, url+"/x", "hello")
	_, second := post(t, url+"/x", "hello")
	require.ElementsMatch(t, []string{"one " + host + " hello", "two " + host + " hello"}, []string{first, second})
	require.Equal(t, []int64{1, 1}, []int64{b.Answered(0), b.Answered(1)})
}

func TestARequestThatADeadNodeNeverGotGoesToTheNext(t *testing.T) {
	b, url := balanced(t, closed(t), node(t, echo("two")))
	for range 4 {
		status, body := post(t, url+"/x", "hello")
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, "two")
		require.Contains(t, body, "hello", "the body is sent again")
	}
	require.Zero(t, b.Answered(0))
}

// A node that breaks off may have done what it was asked, so nobody else is asked.
func TestARequestThatANodeGotIsNotRepeated(t *testing.T) {
	var asked atomic.Int64
	breakOff := func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}
	_, url := balanced(t, node(t, breakOff), node(t, breakOff))
	status, body := post(t, url+"/x", "hello")
	require.Equal(t, http.StatusBadGateway, status)
	require.Contains(t, body, "BAD_GATEWAY")
	require.EqualValues(t, 1, asked.Load())
}

func TestWithoutANodeThereIsAnAnswer(t *testing.T) {
	_, url := balanced(t, closed(t), closed(t))
	status, body := post(t, url+"/x", "")
	require.Equal(t, http.StatusBadGateway, status)
	require.Contains(t, body, "no node can be reached")
}

func TestWhoConfirmedAClaimIsKnown(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) }
	b, url := balanced(t, node(t, echo("one")), node(t, refuse))
	// Each node is asked both: only a confirm that was granted counts.
	for range 2 {
		post(t, url+"/_electric/wake-callbacks/w_1", `{"epoch":1,"wakeId":"w_1"}`)
		post(t, url+"/_electric/wake-callbacks/w_2", `{"epoch":1}`)
		post(t, url+"/_electric/wake-callbacks/w_2", `{"epoch":1}`)
		post(t, url+"/_electric/wake-callbacks/w_1", `{"epoch":1,"wakeId":"w_1"}`)
	}
	by, known := b.ConfirmedBy("w_1")
	require.True(t, known)
	require.Zero(t, by)
	_, known = b.ConfirmedBy("w_2")
	require.False(t, known, "a heartbeat is no confirm")
}
