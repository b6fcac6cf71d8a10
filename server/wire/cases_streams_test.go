package wire_test

import (
	"strings"

	"github.com/wakelatch/wakelatch/server/token"
)

const streamMount = "/v1/stream/"

func streamCases() []badInput {
	get := func(name, rest string) badInput { return call(name, "GET", streamMount+rest, ``) }
	return []badInput{
		get("a stream that is not there", "none"),
		call("deleting a stream that is not there", "DELETE", streamMount+"none", ``),
		get("an offset that is not one", "items?offset=7"),
		get("an offset that is empty", "items?offset="),
		get("an offset with a sign", "items?offset=-000000000000007"),
		get("an offset sent twice", "items?offset=-1&offset=-1"),
		get("a live read without an offset", "items?live=long-poll"),
		get("a way to follow a stream that is none", "items?offset=-1&live=carrier-pigeon"),
		get("a stream's path with an empty segment", "a//b"),
		get("a stream's path that is relative", "a/%2e%2e/b"),
		get("a stream's path that is percent-encoded twice", "a%252Fb"),
		get("a stream's path with a control character", "a%0Ab"),
		get("a stream's path with NUL", "a%00b"),
		get("a stream's path with a backslash", "a%5Cb"),
		get("a stream's path that is not UTF-8", "a%ff"),
		get("a stream's path with a broken escape", "a%zz"),
		get("a stream's path that is too long", strings.Repeat("a", 513)),
		call("a stream that exists with another content type", "PUT", streamMount+"texts", ``, "Content-Type", "application/json"),
		call("a stream with a time to live", "PUT", streamMount+"new", ``, "Stream-TTL", "60"),
		call("a stream with an expiry", "PUT", streamMount+"new", ``, "Stream-Expires-At", "2030-01-01T00:00:00Z"),
		call("a fork of a stream", "PUT", streamMount+"new", ``, "Stream-Forked-From", "/v1/stream/items"),
		call("a stream of broken JSON", "PUT", streamMount+"new", `[1,`, "Content-Type", "application/json"),
		call("a stream's content type that is too long", "PUT", streamMount+"new", ``, "Content-Type", "text/"+strings.Repeat("x", 300)),
		call("creating an entity's stream", "PUT", streamMount+"demo/held/main", ``, "Content-Type", "application/json"),
		call("deleting an entity's stream", "DELETE", streamMount+"demo/held/main", ``),
		call("creating a runner's wake stream", "PUT", streamMount+"runners/r1/wake", ``, "Content-Type", "application/json"),
		call("deleting a runner's wake stream", "DELETE", streamMount+"runners/r1/wake", ``),
	}
}

func appendCases() []badInput {
	post := func(name, path, body string, header ...string) badInput {
		return call(name, "POST", streamMount+path, body, header...)
	}
	items := func(name, body string, header ...string) badInput {
		return post(name, "items", body, append([]string{"Content-Type", "application/json"}, header...)...)
	}
	produced := func(name, path, epoch, seq string) badInput { return post(name, path, `[1]`, producing(epoch, seq)...) }
	return []badInput{
		post("an append to a stream that is not there", "none", `[1]`, "Content-Type", "application/json"),
		post("an append without a content type", "items", `[1]`),
		post("an append with another content type", "items", `[1]`, "Content-Type", "text/plain"),
		items("an append of nothing", ``),
		items("an append of an empty array", `[]`),
		items("an append of broken JSON", `[1,`),
		items("an append with something after its JSON", `[1] 2`),
		items("an append of JSON that is not UTF-8", "[\"\xff\"]"),
		items("an append that nests too deeply", strings.Repeat("[", 600)+strings.Repeat("]", 600)),
		items("an append over the limit", `["`+strings.Repeat("x", maxBody)+`"]`),
		items("a compressed append", "\x1f\x8b", "Content-Encoding", "gzip"),
		items("a Stream-Seq that does not grow", `[1]`, "Stream-Seq", "a"),
		items("a Stream-Seq that is too long", `[1]`, "Stream-Seq", strings.Repeat("s", 257)),
		items("a producer without an epoch", `[1]`, "Producer-Id", "p", "Producer-Seq", "2"),
		items("a producer without an id", `[1]`, "Producer-Epoch", "3", "Producer-Seq", "2"),
		items("a producer with an empty id", `[1]`, "Producer-Id", "", "Producer-Epoch", "3", "Producer-Seq", "2"),
		items("a producer's id that is too long", `[1]`, "Producer-Id", strings.Repeat("p", 257), "Producer-Epoch", "3", "Producer-Seq", "2"),
		produced("a producer's epoch that is no number", "items", "x", "2"),
		produced("a producer's epoch below zero", "items", "-1", "0"),
		produced("a producer's epoch above 2^53", "items", "9007199254740992", "0"),
		produced("a producer's epoch beyond 64 bits", "items", "18446744073709551616", "0"),
		produced("a producer's sequence number with a sign", "items", "3", "+2"),
		produced("a producer's epoch of the past", "items", "2", "0"),
		produced("a gap in a producer's sequence", "items", "3", "9"),
		produced("a new epoch that does not begin at zero", "items", "4", "1"),
		produced("a producer's gap in a stream that it has not written", "texts", "0", "5"),
		post("a producer's append to a closed stream", "ended", `[1]`, producing("0", "0")...),
		post("a producer's later append to a closed stream", "ended", `[1]`, producing("0", "4")...),
		post("a producer's append with another content type", "texts", `[1]`, producing("0", "0")...),
		post("a producer's append of a Stream-Seq that does not grow", "items", `[1]`, append(producing("3", "2"), "Stream-Seq", "a")...),
		post("an append to a closed stream", "ended", `[1]`, "Content-Type", "application/json"),
		post("a producer's append from a page of another origin", "items", `[1]`, append(producing("3", "2"), "Origin", "http://evil.example")...),
	}
}

func mainCases() []badInput {
	by := func(name string, secret func(w *world) string) badInput {
		return badInput{name, func(w *world) request {
			r := w.held.append(`[{"type":"text"}]`, 1)
			r.header[1] = secret(w)
			return r
		}}
	}
	held := func(name, body string, header ...string) badInput {
		return badInput{name, func(w *world) request {
			return request{method: "POST", path: w.held.Path, body: body, header: append(w.held.writeHeader(), header...)}
		}}
	}
	return []badInput{
		{"an append to an entity's stream without a token", func(w *world) request {
			return request{method: "POST", path: w.held.Path, body: `[1]`, header: producing("1", "1")}
		}},
		by("an append by a token that is none", func(*world) string { return "garbage" }),
		by("an append by a token with a bad MAC", func(w *world) string { return spoil(w.held.writeToken) }),
		by("an append by the token of another stream", func(w *world) string { return w.other.writeToken }),
		by("an append by a token of another tenant", func(w *world) string { return w.foreign(token.WriteToken, w.held) }),
		by("an append by a claim token", func(w *world) string { return w.held.ClaimToken }),
		by("an append by a token of an epoch of the future", func(w *world) string {
			return w.forge(token.WriteToken, token.Claim{Tenant: "default", Stream: "demo/held/main", Consumer: w.held.Consumer, Epoch: 2})
		}),
		{"an append by the token of a released claim", func(w *world) request { return w.gone.append(`[1]`, 1) }},
		{"an append by the token of an epoch of the past", func(w *world) request { return w.past.append(`[1]`, 1) }},
		{"an append by the token of a killed entity", func(w *world) request { return w.killed.append(`[1]`, 1) }},
		{"a broken append by the token of a released claim", func(w *world) request { return w.gone.append(`[`, 7) }},
		{"an append by the token of a released claim, with another content type", func(w *world) request {
			return request{method: "POST", path: w.gone.Path, body: `x`, header: append(w.gone.writeHeader(), "Content-Type", "text/plain")}
		}},
		{"an append to the stream of an entity that is not there", func(w *world) request {
			r := w.held.append(`[1]`, 1)
			r.path = "/demo/none/main"
			return r
		}},
		{"an append under the other mount, by the token of another stream", func(w *world) request {
			r := w.other.append(`[1]`, 1)
			r.path = "/v1/stream/demo/held/main"
			return r
		}},
		{"an append under another spelling, without a token", func(*world) request {
			return request{method: "POST", path: "/demo%2Fheld%2F%6dain", body: `[1]`, header: producing("1", "1")}
		}},
		held("the holder's append with another content type", `x`, "Content-Type", "text/plain"),
		{"the holder's producer's append with another content type", func(w *world) request {
			r := w.held.append(`x`, 1)
			r.header[3] = "text/plain"
			return r
		}},
		held("the holder's append of broken JSON", `[1,`, "Content-Type", "application/json"),
		held("the holder's append of an empty array", `[]`, "Content-Type", "application/json"),
		{"a gap in the holder's sequence", func(w *world) request { return w.held.append(`[1]`, 9) }},
		{"the holder's append with an epoch of the past", func(w *world) request {
			r := w.held.append(`[1]`, 1)
			r.header[7] = "0"
			return r
		}},
		{"the holder's append that closes the stream", func(w *world) request { return w.held.append(`[1]`, 1).with("Stream-Closed", "true") }},
		call("an entity's stream that is not there", "GET", "/demo/none/main?offset=-1", ``),
		call("an entity's stream at an offset that is not one", "GET", "/demo/held/main?offset=7", ``),
	}
}

func wakeStreamCases() []badInput {
	get := func(name, path string, header ...string) badInput { return call(name, "GET", path, ``, header...) }
	return []badInput{
		get("the wake stream of a runner that is not there", "/runners/none/wake?offset=-1"),
		get("the wake stream of a disabled runner", "/runners/disabled/wake?offset=-1"),
		get("a wake stream at an offset that is not one", "/runners/r1/wake?offset=seven"),
		get("a wake stream followed in a way that is none", "/runners/r1/wake?offset=-1&live=carrier-pigeon"),
		get("a wake stream followed without an offset", "/runners/r1/wake?live=long-poll"),
		get("a wake stream under the other mount, of a runner that is not there", "/v1/stream/runners/none/wake?offset=-1"),
		get("a wake stream under another spelling, of a runner that is not there", "/%72unners/none/w%61ke?offset=-1"),
		get("a wake stream of an id that could be none", "/runners/a%00b/wake?offset=-1"),
		get("a wake stream of an id that is percent-encoded twice", "/runners/a%252Fb/wake?offset=-1"),
		get("a wake stream with a broken escape", "/runners/a%zz/wake?offset=-1"),
		get("a wake stream's path that goes on", "/runners/r1/wake/more?offset=-1"),
		get("a wake stream with a foreign host", "/runners/r1/wake?offset=-1", "Host", "evil.example"),
		get("a wake stream from a page of another origin", "/runners/r1/wake?offset=-1", "Origin", "http://evil.example"),
		get("a wake stream for a principal that is none", "/runners/r1/wake?offset=-1", "Electric-Principal", "nobody"),
		call("an append to a wake stream", "POST", "/runners/r1/wake", `[1]`, "Content-Type", "application/json"),
		call("a producer's append to a wake stream", "POST", "/runners/r1/wake", `[1]`, producing("0", "0")...),
		call("closing a wake stream", "POST", "/v1/stream/runners/r1/wake", ``, "Stream-Closed", "true"),
		{"an append to a wake stream by a write token", func(w *world) request {
			return request{method: "POST", path: "/runners/r1/wake", body: `[1]`, header: append(w.held.writeHeader(), "Content-Type", "application/json")}
		}},
	}
}
