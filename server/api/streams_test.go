package api_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/api"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/notify"
	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/server/token"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// streamSite is an API with streams behind it, and the entity stream demo/one/main held by w_1 at epoch 1.
type streamSite struct {
	*site
	t     *testing.T
	db    *dbtest.Database
	hub   *stream.Hub
	ring  *token.Keyring
	token string
}

const mainStream = "demo/one/main"

// alone publishes to nobody: there is no other node.
type alone struct{}

func (alone) Publish(...notify.Event) {}

func serveStreams(t *testing.T, server *dbtest.Server) *streamSite {
	t.Helper()
	s := &streamSite{t: t, db: server.New(t)}
	var streams *stream.Service
	s.site = serve(t, func(o *api.Options) {
		logger := slog.New(slog.DiscardHandler)
		s.hub = stream.NewHub(stream.HubOptions{Pool: s.db.Pool, Publisher: alone{}, Registerer: o.Registerer})
		streams = stream.New(stream.Options{
			Pool: s.db.Pool, Hub: s.hub, Registerer: o.Registerer, Logger: logger, LongPoll: 100 * time.Millisecond,
		})
		s.ring = o.Keyring
		o.Streams = streams
		o.View = token.NewView(o.Keyring, token.Options{Trust: time.Hour, Lookup: claim.Lookup(s.db.Pool), Registerer: o.Registerer})
		o.Claims = claim.New(claim.Options{Pool: s.db.Pool, View: o.View, Keyring: o.Keyring, Announcer: s.hub, Logger: logger, Registerer: o.Registerer})
		o.Runners = runner.New(runner.Options{Pool: s.db.Pool, Log: logger})
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- streams.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	s.exec(`INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type, claim_consumer_id, claim_epoch)
		VALUES ('default', $1, 'main', 'application/json', 'w_1', 1)`, mainStream)
	s.exec(`INSERT INTO wakelatch.consumer_claims (tenant_id, consumer_id, epoch, entity_url, stream_path, runner_id, entity_status, start_seq)
		VALUES ('default', 'w_1', 1, '/demo/one', $1, 'r1', 'idle', 0)`, mainStream)
	s.exec(`INSERT INTO wakelatch.claim_leases (tenant_id, consumer_id, epoch, expires_at) VALUES ('default', 'w_1', 1, now())`)
	s.token = s.ring.Sign(token.WriteToken, token.Claim{Tenant: "default", Stream: mainStream, Consumer: "w_1", Epoch: 1})
	return s
}

func (s *streamSite) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.db.Pool.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
}

// must is do, answered with the status.
func (s *streamSite) must(status int, method, path, body string, headers ...string) reply {
	s.t.Helper()
	got := s.do(method, path, body, headers...)
	require.Equal(s.t, status, got.status, "%s %s: %s", method, path, got.body)
	return got
}

func (s *streamSite) refusedWriter(got reply) {
	s.t.Helper()
	failure := got.failure(s.t)
	require.Equal(s.t, "UNAUTHORIZED", failure.Code)
	require.True(s.t, strings.HasPrefix(failure.Message, "Invalid write token"), failure.Message)
}

const (
	asJSON = "application/json"
	asText = "text/plain"
)

func TestStreams(t *testing.T) {
	server := dbtest.NewServer(t)
	for name, test := range map[string]func(*streamSite){
		"life of a stream":                  testStreamLife,
		"producer":                          testStreamProducer,
		"requests that are refused":         testStreamRefusals,
		"conditional read":                  testStreamConditionalRead,
		"live read":                         testStreamLiveRead,
		"main stream takes its holder":      testMainTakesItsHolder,
		"every spelling is fenced":          testEverySpellingIsFenced,
		"the fence alone holds":             testFenceAloneHolds,
		"offset hidden from the holder":     testOffsetHiddenFromHolder,
		"wake stream is the server's":       testWakeStreamIsTheServers,
		"wake stream reads are never 4xx":   testWakeReadsAreNever4xx,
		"a read renews an unheard lease":    testReadRenewsLease,
		"paths that lead nowhere":           testPathsThatLeadNowhere,
		"body over the limit":               testBodyOverTheLimit,
		"a closed stream says so":           testClosedStream,
		"server-sent events":                testServerSentEvents,
		"runner reads with its write token": testReadWithWriteToken,
	} {
		t.Run(name, func(t *testing.T) { test(serveStreams(t, server)) })
	}
}

func testStreamLife(s *streamSite) {
	made := s.must(201, "PUT", "/v1/stream/notes/a%20b", "hello", "Content-Type", asText)
	require.Equal(s.t, s.url+"/v1/stream/notes/a%20b", made.header.Get("Location"))
	require.Equal(s.t, "0000000000000005", made.header.Get("Stream-Next-Offset"))
	s.must(200, "PUT", "/v1/stream/notes/a%20b", "", "Content-Type", asText)
	s.must(409, "PUT", "/v1/stream/notes/a%20b", "", "Content-Type", asJSON)
	appended := s.must(204, "POST", "/v1/stream/notes/a%20b", " world", "Content-Type", asText)
	require.Equal(s.t, "0000000000000011", appended.header.Get("Stream-Next-Offset"))

	read := s.must(200, "GET", "/v1/stream/notes/a%20b?offset=0000000000000005", "")
	require.Equal(s.t, " world", read.body)
	require.Equal(s.t, asText, read.header.Get("Content-Type"))
	require.Equal(s.t, "true", read.header.Get("Stream-Up-To-Date"))
	require.Equal(s.t, "0000000000000011", read.header.Get("Stream-Next-Offset"))
	now := s.must(200, "GET", "/v1/stream/notes/a%20b?offset=now", "")
	require.Empty(s.t, now.body)
	require.Empty(s.t, now.header.Get("ETag"))
	require.Equal(s.t, "no-store", now.header.Get("Cache-Control"))

	head := s.must(200, "HEAD", "/v1/stream/notes/a%20b", "")
	require.Equal(s.t, "0000000000000011", head.header.Get("Stream-Next-Offset"))
	require.Equal(s.t, "no-store", head.header.Get("Cache-Control"))
	for _, answer := range []reply{made, appended, read, head, s.do("GET", "/v1/stream/absent", "")} {
		require.Equal(s.t, "nosniff", answer.header.Get("X-Content-Type-Options"))
		require.Equal(s.t, "same-origin", answer.header.Get("Cross-Origin-Resource-Policy"))
	}
	s.must(204, "DELETE", "/v1/stream/notes/a%20b", "")
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
		s.must(404, method, "/v1/stream/notes/a%20b", "x", "Content-Type", asText)
	}
}

func testStreamProducer(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/notes", "", "Content-Type", asText)
	send := func(status int, epoch, seq string) http.Header {
		return s.must(status, "POST", "/v1/stream/notes", "x", "Content-Type", asText,
			"Producer-Id", "p", "Producer-Epoch", epoch, "Producer-Seq", seq).header
	}
	first := send(200, "1", "0")
	require.Equal(s.t, "1", first.Get("Producer-Epoch"))
	require.Equal(s.t, "0", first.Get("Producer-Seq"))
	require.Equal(s.t, "0000000000000001", first.Get("Stream-Next-Offset"))
	send(200, "1", "1")
	again := send(204, "1", "0")
	require.Equal(s.t, "1", again.Get("Producer-Seq"), "the highest one written")
	gap := send(409, "1", "5")
	require.Equal(s.t, "2", gap.Get("Producer-Expected-Seq"))
	require.Equal(s.t, "5", gap.Get("Producer-Received-Seq"))
	require.Equal(s.t, "1", send(403, "0", "0").Get("Producer-Epoch"))
	send(400, "2", "1")
	for _, number := range []string{"", "-1", "+1", "1.0", "1e3", "abc", "9007199254740992", " 1a"} {
		send(400, number, "0")
		send(400, "1", number)
	}
	s.must(400, "POST", "/v1/stream/notes", "x", "Content-Type", asText, "Producer-Id", "p")
	s.must(400, "POST", "/v1/stream/notes", "x", "Content-Type", asText, "Producer-Epoch", "1", "Producer-Seq", "2")
	s.must(400, "POST", "/v1/stream/notes", "x", "Content-Type", asText, "Producer-Id", "", "Producer-Epoch", "1", "Producer-Seq", "2")
	require.Equal(s.t, "xx", s.must(200, "GET", "/v1/stream/notes", "").body)
}

func testStreamRefusals(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/items", "[]", "Content-Type", asJSON)
	for name, sent := range map[string]struct{ method, query, body, header, value string }{
		"Content-Type":      {"POST", "", "1", "X-Nothing", "x"},
		"body":              {"POST", "", "[]", "Content-Type", asJSON},
		"offset":            {"GET", "?offset=0", "", "X-Nothing", "x"},
		"live":              {"GET", "?offset=-1&live=soon", "", "X-Nothing", "x"},
		"Stream-TTL":        {"PUT", "", "", "Stream-TTL", "60"},
		"Stream-Expires-At": {"PUT", "", "", "Stream-Expires-At", "2030-01-01T00:00:00Z"},
	} {
		got := s.must(400, sent.method, "/v1/stream/items"+sent.query, sent.body, sent.header, sent.value).failure(s.t)
		require.Equal(s.t, name, got.Details["field"], got.Message)
	}
	for _, query := range []string{"?offset=", "?offset=-1&offset=-1", "?live=long-poll", "?offset=..%2F", "?offset=0000000000000000%00"} {
		s.must(400, "GET", "/v1/stream/items"+query, "")
	}
	require.Equal(s.t, "[]", s.must(200, "GET", "/v1/stream/items", "").body)
}

func testStreamConditionalRead(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/notes", "a", "Content-Type", asText)
	tag := s.must(200, "GET", "/v1/stream/notes", "").header.Get("ETag")
	require.NotEmpty(s.t, tag)
	same := s.must(304, "GET", "/v1/stream/notes", "", "If-None-Match", tag)
	require.Empty(s.t, same.body)
	require.Equal(s.t, tag, same.header.Get("ETag"))
	s.must(200, "GET", "/v1/stream/notes", "", "If-None-Match", `"other"`)
	s.must(304, "GET", "/v1/stream/notes", "", "If-None-Match", `"other", W/`+tag)
	s.must(204, "POST", "/v1/stream/notes", "b", "Content-Type", asText)
	s.must(200, "GET", "/v1/stream/notes", "", "If-None-Match", tag)

	s.must(204, "DELETE", "/v1/stream/notes", "")
	s.must(201, "PUT", "/v1/stream/notes", "z", "Content-Type", asText)
	require.Equal(s.t, "z", s.must(200, "GET", "/v1/stream/notes", "", "If-None-Match", tag).body, "another stream at the same path")
}

func testStreamLiveRead(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/notes", "a", "Content-Type", asText)
	idle := s.must(204, "GET", "/v1/stream/notes?offset=now&live=long-poll", "")
	require.Equal(s.t, "0000000000000001", idle.header.Get("Stream-Next-Offset"))
	require.Equal(s.t, "true", idle.header.Get("Stream-Up-To-Date"))
	cursor := idle.header.Get("Stream-Cursor")
	require.NotEmpty(s.t, cursor)
	later := s.must(200, "GET", "/v1/stream/notes?offset=-1&live=long-poll&cursor="+cursor, "")
	require.Equal(s.t, "a", later.body)
	require.Greater(s.t, later.header.Get("Stream-Cursor"), cursor)
}

func testMainTakesItsHolder(s *streamSite) {
	otherStream := s.ring.Sign(token.WriteToken, token.Claim{Tenant: "default", Stream: "demo/two/main", Consumer: "w_1", Epoch: 1})
	claimToken := s.ring.Sign(token.ClaimToken, token.Claim{Tenant: "default", Consumer: "w_1", Epoch: 1})
	future := s.ring.Sign(token.WriteToken, token.Claim{Tenant: "default", Stream: mainStream, Consumer: "w_2", Epoch: 2})
	for _, path := range []string{"/demo/one/main", "/v1/stream/demo/one/main"} {
		s.refusedWriter(s.must(401, "POST", path, `1`, "Content-Type", asJSON))
		for _, secret := range []string{"garbage", otherStream, claimToken, future} {
			s.refusedWriter(s.must(401, "POST", path, `1`, "Content-Type", asJSON, "Electric-Claim-Token", secret))
			s.refusedWriter(s.must(401, "POST", path, ``, "Electric-Claim-Token", secret))
			s.refusedWriter(s.must(401, "POST", path, `1`, "Content-Type", asText, "Producer-Id", "p", "Electric-Claim-Token", secret))
		}
		s.must(204, "POST", path, `1`, "Content-Type", asJSON, "Electric-Claim-Token", s.token, "Authorization", "Bearer an-api-key")
		s.must(204, "POST", path, `2`, "Content-Type", asJSON, "Authorization", "Bearer "+s.token)
		s.must(403, "PUT", path, ``, "Content-Type", asJSON, "Electric-Claim-Token", s.token)
		s.must(403, "DELETE", path, ``, "Electric-Claim-Token", s.token)
		s.must(403, "POST", path, ``, "Stream-Closed", "true", "Electric-Claim-Token", s.token)
		s.refusedWriter(s.must(401, "POST", path, ``, "Stream-Closed", "true"))
	}
	require.Equal(s.t, "[1,2,1,2]", s.must(200, "GET", "/demo/one/main?offset=-1", "").body)
}

func testEverySpellingIsFenced(s *streamSite) {
	spellings := []string{
		"demo/one/main", "demo%2Fone%2Fmain", "demo%2fone/main", "%64emo/one/main", "demo/one/mai%6e", "%64%65%6d%6f/%6f%6e%65/%6d%61%69%6e",
		"demo//one/main", "demo/./one/main", "demo/x/../one/main", "demo/one/main/", "demo/one/%2e/main", "demo%252Fone%252Fmain", "demo/one/mai%256e",
		"/demo/one/main", "demo/one//main", "demo/one/main%00", "DEMO/one/main", "demo/one/main%20", "demo/one/main;x", "demo%5Cone%5Cmain",
	}
	for _, mount := range []string{"/", "/v1/stream/", "/v1/stream//", "/v1/../v1/stream/", "/%76%31/stream/"} {
		for _, spelling := range spellings {
			for _, method := range []string{"POST", "PUT", "DELETE"} {
				got := s.do(method, mount+spelling, `"intruder"`, "Content-Type", asJSON)
				path, err := stream.ParsePath(spelling)
				if err == nil && path == mainStream && (mount == "/" || mount == "/v1/stream/") {
					require.Equal(s.t, map[string]int{"POST": 401, "PUT": 403, "DELETE": 403}[method], got.status, mount+spelling)
				}
				require.NotEqual(s.t, 500, got.status, mount+spelling)
			}
		}
	}
	require.Equal(s.t, "[]", s.must(200, "GET", "/demo/one/main", "").body)
}

func testFenceAloneHolds(s *streamSite) {
	s.must(204, "POST", "/demo/one/main", `1`, "Content-Type", asJSON, "Electric-Claim-Token", s.token)
	// The view goes on saying yes: nobody tells it.
	s.exec(`UPDATE wakelatch.streams SET sealed_epoch = 1`)
	s.refusedWriter(s.must(401, "POST", "/demo/one/main", `2`, "Content-Type", asJSON, "Electric-Claim-Token", s.token))
	require.Equal(s.t, "[1]", s.must(200, "GET", "/demo/one/main", "").body)
}

func testOffsetHiddenFromHolder(s *streamSite) {
	write := func() string {
		return s.must(200, "POST", "/demo/one/main", `1`, "Content-Type", asJSON, "Electric-Claim-Token", s.token,
			"Producer-Id", "p", "Producer-Epoch", "0", "Producer-Seq", "0").header.Get("Stream-Next-Offset")
	}
	require.Equal(s.t, "0000000000000002", write())
	s.exec(`UPDATE wakelatch.streams SET tail = tail + 9, outside_tail = tail + 9; DELETE FROM wakelatch.stream_producers`)
	require.Empty(s.t, write())
}

func testWakeStreamIsTheServers(s *streamSite) {
	for _, path := range []string{"/runners/r1/wake", "/v1/stream/runners/r1/wake", "/v1/stream/runners%2Fr1%2Fwake"} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			s.must(403, method, path, `1`, "Content-Type", asJSON, "Electric-Claim-Token", s.token)
		}
		s.must(403, "POST", path, ``, "Stream-Closed", "true")
	}
}

func testWakeReadsAreNever4xx(s *streamSite) {
	for _, path := range []string{
		"/runners/none/wake?offset=-1", "/v1/stream/runners/none/wake?offset=-1", "/runners/none/wake?offset=bad", "/runners/none/wake?live=long-poll", "/runners/%20/wake",
	} {
		got := s.must(503, "GET", path, "")
		require.Equal(s.t, "5", got.header.Get("Retry-After"), path)
	}
	s.exec(`INSERT INTO wakelatch.runners (tenant_id, id, owner_principal, label, kind, wake_stream) VALUES ('default', 'r1', 'u', 'l', 'k', 'runners/r1/wake')`)
	s.must(503, "GET", "/runners/r1/wake?offset=-1", "")
	s.exec(`INSERT INTO wakelatch.streams (tenant_id, path, kind, content_type, tail) VALUES ('default', 'runners/r1/wake', 'wake', 'application/json', 100)`)
	s.exec(`INSERT INTO wakelatch.stream_messages (tenant_id, stream_path, end_offset, body) VALUES ('default', 'runners/r1/wake', 100, '"wake"')`)
	require.Equal(s.t, `["wake"]`, s.must(200, "GET", "/runners/r1/wake?offset=-1", "").body, "from the first retained event")
	require.Equal(s.t, `["wake"]`, s.must(200, "GET", "/runners/r1/wake?offset=0000000000000007&live=long-poll", "").body)
	s.exec(`UPDATE wakelatch.runners SET admin_status = 'disabled'`)
	s.must(503, "GET", "/runners/r1/wake?offset=-1", "")
}

func testReadRenewsLease(s *streamSite) {
	expires := func() (at time.Time) {
		require.NoError(s.t, s.db.Pool.QueryRow(s.t.Context(), `SELECT expires_at FROM wakelatch.claim_leases`).Scan(&at))
		return at
	}
	before := expires()
	s.must(200, "GET", "/demo/one/main?offset=-1", "", "Electric-Runner-Id", "other")
	require.Equal(s.t, before, expires())
	s.must(200, "GET", "/demo/one/main?offset=-1", "", "Electric-Runner-Id", "r1")
	require.True(s.t, expires().After(before))
}

func testPathsThatLeadNowhere(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/notes", "a", "Content-Type", asText)
	for _, path := range []string{"/notes", "/a/b", "/a/b/c", "/demo/one/main/", "/demo//main", "/v1/streams/x", "/_electric/x/main"} {
		s.must(404, "GET", path, "")
	}
	for _, path := range []string{"/v1/stream/a//b", "/v1/stream/a/../b", "/v1/stream/a%00", "/v1/stream/" + strings.Repeat("a", 600)} {
		s.must(400, "GET", path, "")
	}
	s.must(404, "GET", "/demo/none/main", "")
}

func testBodyOverTheLimit(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/notes", "", "Content-Type", asText)
	s.must(413, "POST", "/v1/stream/notes", strings.Repeat("x", api.DefaultMaxBody+1), "Content-Type", asText)
}

func testClosedStream(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/notes", "a", "Content-Type", asText)
	closed := s.must(204, "POST", "/v1/stream/notes", "", "Stream-Closed", "true")
	require.Equal(s.t, "true", closed.header.Get("Stream-Closed"))
	more := s.must(409, "POST", "/v1/stream/notes", "b", "Content-Type", asText)
	require.Equal(s.t, "true", more.header.Get("Stream-Closed"))
	require.Equal(s.t, "0000000000000001", more.header.Get("Stream-Next-Offset"))
	for _, path := range []string{"/v1/stream/notes", "/v1/stream/notes?offset=now"} {
		require.Equal(s.t, "true", s.must(200, "GET", path, "").header.Get("Stream-Closed"))
	}
	require.Equal(s.t, "true", s.must(204, "GET", "/v1/stream/notes?offset=now&live=long-poll", "").header.Get("Stream-Closed"), "and nobody waits")
}

func testServerSentEvents(s *streamSite) {
	s.must(201, "PUT", "/v1/stream/notes", "one\r\nevent: forged\rtwo\n", "Content-Type", asText)
	s.must(204, "POST", "/v1/stream/notes", "end", "Content-Type", asText, "Stream-Closed", "true")
	got := s.must(200, "GET", "/v1/stream/notes?offset=-1&live=sse", "")
	require.Equal(s.t, "text/event-stream", got.header.Get("Content-Type"))
	require.Equal(s.t, "event: data\ndata:one\ndata:event: forged\ndata:two\ndata:end\n\n"+
		"event: control\ndata:{\"streamNextOffset\":\"0000000000000026\",\"streamClosed\":true}\n\n", got.body)

	s.must(201, "PUT", "/v1/stream/bytes", "\x00\xff", "Stream-Closed", "true")
	encoded := s.must(200, "GET", "/v1/stream/bytes?offset=-1&live=sse", "")
	require.Equal(s.t, "base64", encoded.header.Get("Stream-Sse-Data-Encoding"))
	require.True(s.t, strings.HasPrefix(encoded.body, "event: data\ndata:AP8=\n\n"), encoded.body)
	s.must(404, "GET", "/v1/stream/absent?offset=-1&live=sse", "")
	s.must(400, "GET", "/v1/stream/notes?live=sse", "")
	s.must(503, "GET", "/runners/none/wake?offset=-1&live=sse", "")
	s.followLive()
}

// followLive reads events of a stream that goes on: each append arrives while the answer is open, and closing the
// stream ends it.
func (s *streamSite) followLive() {
	s.must(201, "PUT", "/v1/stream/live", "", "Content-Type", asJSON)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/v1/stream/live?offset=now&live=sse", nil)
	require.NoError(s.t, err)
	answer, err := s.http.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	until := func(want string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		require.Fail(s.t, "the answer ended", "before %q: %v", want, lines.Err())
	}
	until(`"upToDate":true`)
	for _, item := range []string{"1", "2"} {
		s.must(204, "POST", "/v1/stream/live", item, "Content-Type", asJSON)
		until("data:[" + item + "]")
	}
	s.must(204, "POST", "/v1/stream/live", "", "Stream-Closed", "true")
	until(`"streamClosed":true`)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(s.t, err)
}

// keysOnly refuses everybody who brings no key, as an authentication with keys will.
type keysOnly struct{ api.Authenticator }

func (keysOnly) Identify(*http.Request) (api.Identity, error) {
	return api.Identity{}, &api.UnauthorizedError{Why: "no key"}
}

func testReadWithWriteToken(s *streamSite) {
	locked := serve(s.t, func(o *api.Options) {
		o.Auth = keysOnly{o.Auth}
		o.Keyring = s.ring
		o.View = token.NewView(s.ring, token.Options{Trust: time.Hour, Lookup: claim.Lookup(s.db.Pool), Registerer: o.Registerer})
		o.Streams = stream.New(stream.Options{Pool: s.db.Pool, Hub: s.hub, Registerer: o.Registerer, Logger: slog.New(slog.DiscardHandler)})
	})
	require.Equal(s.t, 200, locked.do("GET", "/demo/one/main", "", "Authorization", "Bearer "+s.token).status)
	require.Equal(s.t, 401, locked.do("GET", "/demo/one/main", "", "Authorization", "Bearer x").status)
	require.Equal(s.t, 401, locked.do("GET", "/demo/one/main", "").status)
	require.Equal(s.t, 503, locked.do("GET", "/runners/r1/wake?offset=-1", "").status)
}
