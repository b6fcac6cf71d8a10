package wire_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The calls of the published runner, by how it repeats them.
const (
	producerAppend = "an append of its producer"
	streamRead     = "a read of a stream"
	singleShot     = "a request that is sent once"
)

const (
	// The hotLimit is the most that a client may send without a pause before it counts as a loop.
	hotLimit = 5
	// A minute is how long a client that pauses is watched, by its own clock.
	minute = time.Minute
	// So perMinute is the most that a client may send in it: a pause of five seconds, and a first try.
	perMinute = 13
)

// fakeClient repeats its requests as the published runner and its stream client do, without what newer ones have
// against loops. Its clock goes only while it pauses, so nothing waits.
type fakeClient struct {
	w       *world
	sent    int // requests in all
	hot     int // requests since the last pause, or the last append that was written
	clock   time.Duration
	backoff time.Duration
	last    answer
	trace   []string
	// written are the producer's sequence numbers that have been answered as written, of its epoch.
	written map[int64]bool
}

// kindOf says how the published client repeats a request. The producer's numbers must be such as it sends.
func kindOf(r request) string {
	path, _, _ := strings.Cut(r.path, "?")
	ours := strings.HasPrefix(path, "/_electric")
	_, _, produces := producerIn(r)
	switch {
	case r.method == http.MethodPost && !ours && produces:
		return producerAppend
	case r.method == http.MethodGet && !ours:
		return streamRead
	default:
		return singleShot
	}
}

// applies says whether the published runner makes a request of this kind at all in a wake. It encodes what it puts
// into a path, so a path that cannot be decoded is none of its own.
func applies(r request) bool {
	path, _, _ := strings.Cut(r.path, "?")
	if _, err := url.PathUnescape(path); err != nil {
		return false
	}
	if kindOf(r) != singleShot {
		return true
	}
	for _, of := range []string{"/claim", "/heartbeat", "/_electric/runners", "/_electric/entity-types"} {
		if r.method == http.MethodPost && strings.HasSuffix(path, of) {
			return true
		}
	}
	return strings.HasPrefix(path, "/_electric/wake-callbacks/") || strings.Contains(path, "/tags/") ||
		r.method == http.MethodPost && !strings.HasPrefix(path, "/_electric")
}

// run sends the request and everything that the client sends because of the answers.
func (c *fakeClient) run(r request) {
	switch kindOf(r) {
	case producerAppend:
		epoch, seq, _ := producerIn(r)
		c.produce(r, epoch, seq)
	case streamRead:
		c.read(r)
	default:
		c.send(r)
	}
}

// going is false when the client has sent so much that it must be in a loop.
func (c *fakeClient) going() bool { return c.hot <= hotLimit && c.clock < minute }

func (c *fakeClient) send(r request) answer {
	c.sent++
	c.hot++
	c.last = c.w.send(r)
	c.trace = append(c.trace, strconv.Itoa(c.last.status)+" "+failureIn(c.last).Code)
	return c.last
}

// produce is an idempotent producer that claims its epoch by itself. It does not pause between two tries.
func (c *fakeClient) produce(r request, epoch, seq int64) bool {
	for c.going() {
		got := c.send(numbered(r, epoch, seq))
		switch got.status {
		case http.StatusOK, http.StatusNoContent:
			c.written[seq], c.hot = true, 0
			return true
		case http.StatusForbidden:
			epoch, seq = number(got, "Producer-Epoch", epoch)+1, 0
			clear(c.written)
		case http.StatusConflict:
			expected := number(got, "Producer-Expected-Seq", 0)
			if expected >= seq {
				return false
			}
			// It waits for its own earlier appends and sends this one again at once. Unless there is a gap in truth, they
			// have all been answered.
			for before := expected; before < seq; before++ {
				if failureIn(got).Code == "PRODUCER_GAP" && !c.written[before] && !c.produce(r, epoch, before) {
					return false
				}
			}
		default:
			return false
		}
	}
	return false
}

// read follows a stream. It pauses after 429 and 5xx, and for a refusal it has an error handler that says: again.
func (c *fakeClient) read(r request) {
	c.backoff = time.Second
	for c.going() {
		asked := time.Now()
		got := c.send(r)
		switch {
		case got.status == http.StatusTooManyRequests || got.status >= 500:
			c.pause(got)
		case got.status >= 400:
			if !isWakeStream(r.path) {
				return
			}
		case got.header.Get("Stream-Closed") == "true" || got.header.Get("Stream-Next-Offset") == "":
			return
		default:
			if time.Since(asked) >= longPoll {
				// A read that was held open is no loop; the client goes on so for ever.
				return
			}
			r = follow(r, got)
		}
	}
}

// pause waits as long as the server asks for, at least. The client's own share is random from zero up: zero here.
func (c *fakeClient) pause(got answer) {
	seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
	if err != nil {
		return
	}
	c.clock += time.Duration(seconds) * time.Second
	c.hot = 0
}

// follow is the long-poll after an answer.
func follow(r request, got answer) request {
	path, _, _ := strings.Cut(r.path, "?")
	r.path = path + "?offset=" + got.header.Get("Stream-Next-Offset") + "&live=long-poll"
	if cursor := got.header.Get("Stream-Cursor"); cursor != "" {
		r.path += "&cursor=" + cursor
	}
	return r
}

// isWakeStream says whether the runner's wake loop would read this, which has that error handler; a wake's reader of
// an entity's stream has none, and ends.
func isWakeStream(path string) bool {
	for _, part := range []string{"wake", "w%61ke"} {
		if strings.Contains(path, part) {
			return true
		}
	}
	return false
}

// number is a header's number; without one, or with one that is none, what the client takes instead.
func number(got answer, name string, otherwise int64) int64 {
	n, err := strconv.ParseInt(got.header.Get(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// producerIn are the numbers of a producer that the published client could have sent.
func producerIn(r request) (epoch, seq int64, ok bool) {
	sent := map[string]string{}
	for pair := range slices.Chunk(r.header, 2) {
		sent[pair[0]] = pair[1]
	}
	epoch, failed := strconv.ParseInt(sent["Producer-Epoch"], 10, 64)
	seq, missing := strconv.ParseInt(sent["Producer-Seq"], 10, 64)
	return epoch, seq, failed == nil && missing == nil && sent["Producer-Id"] != "" && seq >= 0
}

// numbered is the request with these numbers of its producer.
func numbered(r request, epoch, seq int64) request {
	r.header = slices.Clone(r.header)
	for i := 0; i < len(r.header); i += 2 {
		switch r.header[i] {
		case "Producer-Epoch":
			r.header[i+1] = strconv.FormatInt(epoch, 10)
		case "Producer-Seq":
			r.header[i+1] = strconv.FormatInt(seq, 10)
		}
	}
	return r
}

// skips says whether a claim's answer is one that the runner passes over; every other refusal ends its loop.
func skips(got answer) bool {
	var body struct {
		Done bool `json:"done"`
	}
	_ = json.Unmarshal([]byte(got.body), &body)
	return got.status == http.StatusNoContent || body.Done ||
		got.status == http.StatusConflict && (strings.Contains(got.body, "ALREADY_CLAIMED") || strings.Contains(got.body, "NO_PENDING_WORK"))
}

// newClient is a client whose producer has written what the world has of it.
func newClient(w *world, r request) *fakeClient {
	c := &fakeClient{w: w, written: map[int64]bool{}}
	switch {
	case strings.HasSuffix(r.path, "/items"):
		c.written[0], c.written[1] = true, true
	case strings.HasSuffix(r.path, "/main"):
		c.written[0] = true
	}
	return c
}

func sortedKinds(counts map[string]int) []string { return slices.Sorted(maps.Keys(counts)) }
