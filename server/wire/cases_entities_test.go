package wire_test

import (
	"strings"

	"github.com/wakelatch/wakelatch/server/token"
)

func typeCases() []badInput {
	register := func(name, body string) badInput { return call(name, "POST", "/_electric/entity-types", body) }
	return []badInput{
		register("a type without a name", `{}`),
		register("a type named like a route", `{"name":"runners"}`),
		register("a type named like a route in capitals", `{"name":"V1"}`),
		register("a type's name with a slash", `{"name":"a/b"}`),
		register("a type's name that is too long", `{"name":"`+strings.Repeat("x", 65)+`"}`),
		register("a schema that is no object", `{"name":"t","creation_schema":[]}`),
		register("a description of the wrong type", `{"name":"t","description":7}`),
		register("a description that is too long", `{"name":"t","description":"`+strings.Repeat("x", 4097)+`"}`),
		register("a dispatch policy that is no object", `{"name":"t","default_dispatch_policy":"r1"}`),
		register("a dispatch policy with a target of the wrong type", `{"name":"t","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":7}]}}`),
		register("a dispatch policy whose targets are no array", `{"name":"t","default_dispatch_policy":{"targets":{}}}`),
		register("a dispatch policy without a target", `{"name":"t","default_dispatch_policy":{"targets":[]}}`),
		register("a dispatch policy with two targets", `{"name":"t","default_dispatch_policy":{"targets":[{"type":"runner","runnerId":"a"},{"type":"runner","runnerId":"b"}]}}`),
		register("a dispatch policy to a webhook", `{"name":"t","default_dispatch_policy":{"targets":[{"type":"webhook","url":"http://x"}]}}`),
		register("a dispatch policy in another case", `{"name":"t","default_dispatch_policy":{"Targets":[{"type":"runner","runnerId":"r1"}]}}`),
		register("a dispatch policy to an id that is none", `{"name":"t","default_dispatch_policy":`+policy("a/b")+`}`),
		call("a type that is not there", "GET", "/_electric/entity-types/none", ``),
		call("a type's name that could be none", "GET", "/_electric/entity-types/a%00b", ``),
		call("types after a name that is none", "GET", "/_electric/entity-types?after=a%2Fb", ``),
	}
}

func entityCases() []badInput {
	spawn := func(name, path, body string) badInput { return call(name, "PUT", "/_electric/entities/"+path, body) }
	return []badInput{
		spawn("an entity of a type that is not registered", "none/one", ``),
		spawn("an entity of a type named like a route", "runners/one", ``),
		spawn("an entity that exists", "demo/held", ``),
		spawn("an entity's id with a slash", "demo/a%2Fb", ``),
		spawn("an entity's id with a backslash", "demo/a%5Cb", ``),
		spawn("an entity's id with NUL", "demo/a%00b", ``),
		spawn("an entity's id that is not UTF-8", "demo/a%ffb", ``),
		spawn("an entity's id that is a relative path", "demo/%2e%2e", ``),
		spawn("an entity's id that is too long", "demo/"+strings.Repeat("x", 257), ``),
		spawn("an entity's id that is percent-encoded twice", "demo/a%252Fb", ``),
		spawn("tags that are no object", "demo/new", `{"tags":["a"]}`),
		spawn("a tag that is no text", "demo/new", `{"tags":{"a":1}}`),
		spawn("a tag that is null", "demo/new", `{"tags":{"a":null}}`),
		spawn("a spawn to a runner that is not registered", "demo/new", `{"dispatch_policy":`+policy("r9")+`}`),
		spawn("a spawn with a dispatch policy that is none", "demo/new", `{"dispatch_policy":{"targets":7}}`),
		spawn("a spawn with NUL in its first message", "demo/new", `{"initialMessage":"a\u0000b"}`),
		call("an entity that is not there", "GET", "/_electric/entities/demo/none", ``),
		call("an entity's type that could be none", "GET", "/_electric/entities/a%20b/one", ``),
		call("a way to wait for an entity that is none", "GET", "/_electric/entities/demo/held?live=sse", ``),
		call("a version that is no number", "GET", "/_electric/entities/demo/held?live=long-poll&version=x", ``),
		call("a version below zero", "GET", "/_electric/entities/demo/held?live=long-poll&version=-1", ``),
		call("a version beyond 64 bits", "GET", "/_electric/entities/demo/held?live=long-poll&version=9223372036854775808", ``),
		call("waiting for an entity that is not there", "GET", "/_electric/entities/demo/none?live=long-poll&version=1", ``),
		call("entities of a status that is none", "GET", "/_electric/entities?status=tired", ``),
		call("entities of a type that is none", "GET", "/_electric/entities?type=a%2Fb", ``),
		call("entities after a url with NUL", "GET", "/_electric/entities?after=%00", ``),
		call("too many entities", "GET", "/_electric/entities?limit=1001", ``),
		call("the dispatch of an entity that is not there", "GET", "/_electric/entities/demo/none/dispatch", ``),
		call("the history of an entity that is not there", "GET", "/_electric/entities/demo/none/history", ``),
		call("a history after a cursor that is none", "GET", "/_electric/entities/demo/held/history?after=abc", ``),
		call("a history with a page's length that is no number", "GET", "/_electric/entities/demo/held/history?limit=x", ``),
	}
}

func sendCases() []badInput {
	send := func(name, id, body string) badInput {
		return call(name, "POST", "/_electric/entities/demo/"+id+"/send", body)
	}
	signal := func(name, id, body string) badInput {
		return call(name, "POST", "/_electric/entities/demo/"+id+"/signal", body)
	}
	return []badInput{
		send("a message to an entity that is not there", "none", `{"payload":1}`),
		send("a message to an entity that was stopped", "stopped", `{"payload":1}`),
		send("a message to an entity that was killed", "killed", `{"payload":1}`),
		send("a message without a payload", "idle", `{}`),
		send("a mode that is none", "idle", `{"payload":1,"mode":"never"}`),
		send("a key of the wrong type", "idle", `{"payload":1,"key":7}`),
		send("a key that is too long", "idle", `{"payload":1,"key":"`+strings.Repeat("k", 513)+`"}`),
		send("a delay below zero", "idle", `{"payload":1,"afterMs":-1}`),
		send("a delay with a fraction", "idle", `{"payload":1,"afterMs":0.5}`),
		send("a delay that is too long", "idle", `{"payload":1,"afterMs":9007199254740993}`),
		send("a delayed message to an entity that was killed", "killed", `{"payload":1,"afterMs":1000}`),
		send("a delayed message to an entity that is not there", "none", `{"payload":1,"afterMs":1000}`),
		send("NUL in a message", "idle", `{"payload":"a\u0000b"}`),
		send("half of a surrogate pair in a message", "idle", `{"payload":"\udc00"}`),
		signal("a signal that is none", "idle", `{"signal":"SIGHUP"}`),
		signal("a signal that is missing", "idle", `{}`),
		signal("a signal to an entity that is not there", "none", `{"signal":"SIGSTOP"}`),
		signal("a signal to an entity that was killed", "killed", `{"signal":"SIGSTOP"}`),
		signal("a signal to an entity that was stopped", "stopped", `{"signal":"SIGCONT"}`),
		signal("a signal with a reason that is too long", "idle", `{"signal":"SIGSTOP","reason":"`+strings.Repeat("x", 1001)+`"}`),
	}
}

func tagCases() []badInput {
	tag := func(name, method, id, body string, secret func(w *world) string) badInput {
		return badInput{name, func(w *world) request {
			r := request{method: method, path: "/_electric/entities/demo/" + id + "/tags/color", body: body}
			if secret != nil {
				r.header = []string{"Electric-Claim-Token", secret(w)}
			}
			return r
		}}
	}
	const red = `{"value":"red"}`
	return []badInput{
		tag("a tag by a token that is none", "POST", "held", red, func(*world) string { return "garbage" }),
		tag("a tag by a token with a bad MAC", "POST", "held", red, func(w *world) string { return spoil(w.held.writeToken) }),
		tag("a tag by the token of another stream", "POST", "held", red, func(w *world) string { return w.other.writeToken }),
		tag("a tag by the token of a released claim", "POST", "past", red, func(w *world) string { return w.past.writeToken }),
		tag("a tag by the token of a killed entity", "DELETE", "killed", ``, func(w *world) string { return w.killed.writeToken }),
		tag("a tag by a token of another tenant", "POST", "held", red, func(w *world) string { return w.foreign(token.WriteToken, w.held) }),
		tag("a tag by a claim token", "DELETE", "held", ``, func(w *world) string { return w.held.ClaimToken }),
		tag("a broken tag by a token that is none", "POST", "held", `{`, func(*world) string { return "garbage" }),
		tag("a tag of an entity that was killed", "POST", "killed", red, nil),
		tag("a tag of an entity that is not there", "POST", "none", red, nil),
		tag("a tag without a value", "POST", "idle", `{}`, nil),
		tag("a tag that is no text, later", "POST", "idle", `{"value":7}`, nil),
		tag("a tag with NUL", "POST", "idle", `{"value":"a\u0000b"}`, nil),
		tag("a tag that is too long", "POST", "idle", `{"value":"`+strings.Repeat("x", 20000)+`"}`, nil),
		call("a tag's key with NUL", "POST", "/_electric/entities/demo/idle/tags/%00", red),
		call("a tag's key that is too long", "POST", "/_electric/entities/demo/idle/tags/"+strings.Repeat("k", 600), red),
		call("a tag's key with a broken escape", "POST", "/_electric/entities/demo/idle/tags/%4", red),
	}
}

func actionCases() []badInput {
	const entities, runners = "/_electric/entities/demo/", "/_electric/runners/"
	return []badInput{
		call("moving an entity without a reason", "PUT", entities+"idle/dispatch-policy", `{"dispatch_policy":`+policy("mine")+`}`),
		call("moving an entity without a policy", "PUT", entities+"idle/dispatch-policy", `{"reason":"x"}`),
		call("moving an entity to a runner that is not registered", "PUT", entities+"idle/dispatch-policy", `{"reason":"x","dispatch_policy":`+policy("r9")+`}`),
		call("moving an entity with a policy that is none", "PUT", entities+"idle/dispatch-policy", `{"reason":"x","dispatch_policy":[]}`),
		call("moving an entity that is not there", "PUT", entities+"none/dispatch-policy", `{"reason":"x","dispatch_policy":`+policy("mine")+`}`),
		call("un-parking an entity without a reason", "POST", entities+"idle/unpark", ``),
		call("un-parking an entity with a reason of the wrong type", "POST", entities+"idle/unpark", `{"reason":7}`),
		call("un-parking an entity that is not there", "POST", entities+"none/unpark", `{"reason":"x"}`),
		call("deleting an entity without a reason", "DELETE", entities+"idle", ``),
		call("deleting an entity that is not there", "DELETE", entities+"none", `{"reason":"x"}`),
		call("disabling a runner that is not there", "POST", runners+"none/disable", ``),
		call("enabling a runner that is not there", "POST", runners+"none/enable", ``),
		call("draining a runner that is not there", "POST", runners+"none/drain", `{"reason":"x"}`),
		call("draining a runner with a reason that is too long", "POST", runners+"r1/drain", `{"reason":"`+strings.Repeat("x", 1001)+`"}`),
		call("deleting a runner without a reason", "DELETE", runners+"mine", ``),
		call("deleting a runner with a reason with NUL", "DELETE", runners+"mine", `{"reason":"a\u0000b"}`),
		call("deleting a runner that is not there", "DELETE", runners+"none", `{"reason":"x"}`),
	}
}
