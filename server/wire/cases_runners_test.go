package wire_test

import (
	"strings"

	"github.com/wakelatch/wakelatch/server/token"
)

func runnerCases() []badInput {
	register := func(name, body string) badInput { return call(name, "POST", "/_electric/runners", body) }
	beat := func(name, body string) badInput { return call(name, "POST", "/_electric/runners/r1/heartbeat", body) }
	return []badInput{
		register("a runner without an id", `{}`),
		register("a runner's id with a slash", `{"id":"a/b"}`),
		register("a runner's id that is a relative path", `{"id":".."}`),
		register("a runner's id that is too long", `{"id":"`+strings.Repeat("r", 129)+`"}`),
		register("a runner's id with a control character", `{"id":"a\nb"}`),
		register("an owner that is no principal", `{"id":"r9","owner_principal":"bob"}`),
		register("a kind of runner that is none", `{"id":"r9","kind":"toaster"}`),
		register("an admin status that is none", `{"id":"r9","admin_status":"asleep"}`),
		register("another wake stream than the runner's own", `{"id":"r9","wake_stream":"/runners/r1/wake"}`),
		register("a sandbox profile without a name", `{"id":"r9","sandbox_profiles":[{"label":"x"}]}`),
		register("a label that is too long", `{"id":"r9","label":"`+strings.Repeat("x", 300)+`"}`),
		register("a runner of another owner", `{"id":"r1","owner_principal":"user:bob"}`),
		call("a runner that is not there", "GET", "/_electric/runners/none", ``),
		call("a runner's id that could be none", "GET", "/_electric/runners/a%00b", ``),
		call("a runner's id with a broken escape", "GET", "/_electric/runners/a%zz", ``),
		call("the health of a runner that is not there", "GET", "/_electric/runners/none/health", ``),
		call("the history of a runner that is not there", "GET", "/_electric/runners/none/history", ``),
		call("a heartbeat of a runner that is not there", "POST", "/_electric/runners/none/heartbeat", `{"lease_ms":1000}`),
		beat("a runner's lease of the wrong type", `{"lease_ms":"soon"}`),
		beat("a runner's lease below zero", `{"lease_ms":-1}`),
		beat("a runner's lease with a fraction", `{"lease_ms":0.5}`),
		beat("a runner's lease that is too long", `{"lease_ms":999999999999}`),
		beat("a runner's lease beyond 64 bits", `{"lease_ms":9223372036854775808}`),
		beat("a wake stream offset that is none", `{"lease_ms":1000,"wake_stream_offset":"now"}`),
		call("a page's length that is no number", "GET", "/_electric/runners?limit=many", ``),
		call("a page's length below zero", "GET", "/_electric/runners?limit=-1", ``),
		call("a page's length beyond 64 bits", "GET", "/_electric/runners?limit=99999999999999999999", ``),
		call("a page after an id with NUL", "GET", "/_electric/runners?after=a%00b", ``),
		call("runners of an owner that is no principal", "GET", "/_electric/runners?owner_principal=bob", ``),
	}
}

func claimCases() []badInput {
	claim := func(name, runner, body string) badInput {
		return call(name, "POST", "/_electric/runners/"+runner+"/claim", body)
	}
	return []badInput{
		claim("a claim without a stream", "r1", `{"generation":1}`),
		claim("a claim without a generation", "r1", `{"stream":"demo/waiting/main"}`),
		claim("a generation as text", "r1", `{"stream":"demo/waiting/main","generation":"1"}`),
		claim("a generation of zero", "r1", wakeEvent("waiting", 0)),
		claim("a generation above 2^53", "r1", wakeEvent("waiting", 1<<53+1)),
		claim("a generation beyond 64 bits", "r1", `{"stream":"demo/waiting/main","generation":9223372036854775808}`),
		claim("a generation with a fraction", "r1", `{"stream":"demo/waiting/main","generation":1.5}`),
		claim("a wake of the past", "r1", wakeEvent("past", 1)),
		claim("a wake of the future", "r1", wakeEvent("waiting", 7)),
		claim("a wake that was confirmed already", "r1", wakeEvent("held", 1)),
		claim("a wake that is over", "r1", wakeEvent("gone", 1)),
		claim("a claim by a runner that is not there", "none", wakeEvent("waiting", 1)),
		claim("a claim by a disabled runner", "disabled", wakeEvent("waiting", 1)),
		claim("a claim by another runner than the wake's", "mine", wakeEvent("waiting", 1)),
		claim("a claim with an array for the event", "r1", `[`+wakeEvent("waiting", 1)+`]`),
	}
}

func callbackCases() []badInput {
	held := func(name, body string) badInput {
		return badInput{name, func(w *world) request {
			return request{method: "POST", path: w.held.callback, body: body, header: w.held.claimHeader()}
		}}
	}
	const done = `{"done":true}`
	by := func(name string, token func(w *world) []string) badInput {
		return badInput{name, func(w *world) request {
			return request{method: "POST", path: w.held.callback, body: done, header: token(w)}
		}}
	}
	with := func(tok func(w *world) string) func(w *world) []string {
		return func(w *world) []string { return []string{"Electric-Claim-Token", tok(w)} }
	}
	return []badInput{
		by("a callback without a token", func(*world) []string { return nil }),
		by("a claim token that is none", with(func(*world) string { return "garbage" })),
		by("a claim token with a bad MAC", with(func(w *world) string { return spoil(w.held.ClaimToken) })),
		by("a claim token that is too long", with(func(*world) string { return "wlc." + strings.Repeat("a", 4000) })),
		by("the claim token of another claim", with(func(w *world) string { return w.other.ClaimToken })),
		by("a claim token of another tenant", with(func(w *world) string { return w.foreign(token.ClaimToken, w.held) })),
		by("a write token for a claim token", with(func(w *world) string { return w.held.writeToken })),
		by("a claim token as another scheme than Bearer", func(w *world) []string { return []string{"Authorization", "Basic " + w.held.ClaimToken} }),
		by("a broken header before a good bearer", func(w *world) []string {
			return []string{"Electric-Claim-Token", "garbage", "Authorization", "Bearer " + w.held.ClaimToken}
		}),
		held("an epoch of the future", `{"epoch":2,"done":true}`),
		held("an epoch below zero", `{"epoch":-1}`),
		held("an epoch above 2^53", `{"epoch":9007199254740993}`),
		held("an epoch beyond 64 bits", `{"epoch":9223372036854775808}`),
		held("an epoch as text", `{"epoch":"1"}`),
		held("an epoch with a fraction", `{"epoch":1.5}`),
		held("an epoch with an exponent", `{"epoch":1e0}`),
		held("a confirmation of another wake", `{"epoch":1,"wakeId":"w_other"}`),
		{"a second confirmation", func(w *world) request {
			return request{method: "POST", path: w.held.callback, body: `{"wakeId":"` + w.held.Consumer + `"}`, header: w.held.claimHeader()}
		}},
		held("a done of the wrong type", `{"done":"yes"}`),
		held("an outcome that is none", `{"done":true,"outcome":"perhaps"}`),
		held("an ack at an offset that is none", `{"done":true,"acks":[{"path":"/demo/held/main","offset":"now"}]}`),
		held("an ack at an offset of the wrong type", `{"done":true,"acks":[{"path":"/demo/held/main","offset":5}]}`),
		held("acks that are no array", `{"done":true,"acks":{}}`),
		held("a broken callback", `{"done":`),
		held("a hand-back that is done too", `{"release":true,"done":true}`),
		held("a hand-back with acks", `{"release":true,"acks":[{"path":"/demo/held/main","offset":"0000000000000001"}]}`),
		held("a hand-back with a reason that is too long", `{"release":true,"reason":"`+strings.Repeat("x", 1001)+`"}`),
		{"a done with an epoch of the past", func(w *world) request {
			return request{method: "POST", path: w.present.callback, body: `{"epoch":1,"done":true}`, header: w.present.claimHeader()}
		}},
		{"a heartbeat of a released claim", func(w *world) request {
			return request{method: "POST", path: w.gone.callback, body: `{"epoch":1}`, header: w.gone.claimHeader()}
		}},
		{"a heartbeat of a claim whose entity was killed", func(w *world) request {
			return request{method: "POST", path: w.killed.callback, body: `{}`, header: w.killed.claimHeader()}
		}},
		{"a confirmation of a released claim", func(w *world) request {
			return request{method: "POST", path: w.past.callback, body: `{"wakeId":"` + w.past.Consumer + `"}`, header: w.past.claimHeader()}
		}},
		{"a heartbeat of a claim that never was", func(w *world) request {
			c := token.Claim{Tenant: "default", Consumer: "w_never", Epoch: 1}
			return request{method: "POST", path: "/_electric/wake-callbacks/w_never", body: `{}`, header: []string{"Electric-Claim-Token", w.forge(token.ClaimToken, c)}}
		}},
		{"a done of a claim that never was", func(w *world) request {
			c := token.Claim{Tenant: "default", Consumer: "w_never", Epoch: 1}
			return request{method: "POST", path: "/_electric/wake-callbacks/w_never", body: done, header: []string{"Electric-Claim-Token", w.forge(token.ClaimToken, c)}}
		}},
		{"a confirmation of a claim that never was", func(w *world) request {
			c := token.Claim{Tenant: "default", Consumer: "w_never", Epoch: 1}
			return request{
				method: "POST", path: "/_electric/wake-callbacks/w_never", body: `{"wakeId":"w_never"}`,
				header: []string{"Electric-Claim-Token", w.forge(token.ClaimToken, c)},
			}
		}},
	}
}

func claimViewCases() []badInput {
	verify := func(name string, body func(w *world) string) badInput {
		return badInput{name, func(w *world) request {
			return request{method: "POST", path: "/_electric/claims/verify", body: body(w)}
		}}
	}
	asked := func(c *wake, more string) string {
		return `{"consumer_id":"` + c.Consumer + `","epoch":1` + more + `}`
	}
	return []badInput{
		call("a claim that is not there", "GET", "/_electric/claims/w_none/1", ``),
		call("an epoch in the path that is no number", "GET", "/_electric/claims/w_none/one", ``),
		call("an epoch in the path of zero", "GET", "/_electric/claims/w_none/0", ``),
		call("an epoch in the path beyond 64 bits", "GET", "/_electric/claims/w_none/9223372036854775808", ``),
		{"an epoch that the claim never had", func(w *world) request {
			return request{method: "GET", path: "/_electric/claims/" + w.held.Consumer + "/9007199254740993"}
		}},
		call("a claim's id with NUL", "GET", "/_electric/claims/w_%00/1", ``),
		call("claims of a status that is none", "GET", "/_electric/claims?status=lost", ``),
		call("claims of an entity with NUL", "GET", "/_electric/claims?entity=/demo/%00", ``),
		call("claims after a cursor that is none", "GET", "/_electric/claims?after=abc", ``),
		call("claims with a page's length that is no number", "GET", "/_electric/claims?limit=x", ``),
		verify("verifying without a consumer", func(*world) string { return `{"epoch":1}` }),
		verify("verifying without an epoch", func(w *world) string { return `{"consumer_id":"` + w.held.Consumer + `"}` }),
		verify("verifying a claim that is not there", func(*world) string { return `{"consumer_id":"w_none","epoch":1}` }),
		verify("verifying a claim that is over", func(w *world) string { return asked(w.gone, "") }),
		verify("verifying a claim that another has followed", func(w *world) string { return asked(w.past, "") }),
		verify("verifying with a write token that is none", func(w *world) string { return asked(w.held, `,"write_token":"x"`) }),
		verify("verifying with another claim's write token", func(w *world) string { return asked(w.held, `,"write_token":"`+w.other.writeToken+`"`) }),
		call("releasing a claim without a reason", "POST", "/_electric/claims/w_none/1/release", `{}`),
		call("releasing a claim that is not there", "POST", "/_electric/claims/w_none/1/release", `{"reason":"stuck"}`),
		{"releasing a claim with a reason that is too long", func(w *world) request {
			return request{method: "POST", path: "/_electric/claims/" + w.held.Consumer + "/1/release", body: `{"reason":"` + strings.Repeat("x", 1001) + `"}`}
		}},
	}
}
