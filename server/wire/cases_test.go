package wire_test

import "strings"

// group is a part of the table, under a heading of its own.
type group struct {
	title string
	cases []badInput
}

// badInput is a row of the table: what is wrong, and the request that is wrong so.
type badInput struct {
	name  string
	build func(w *world) request
}

// groups are all cases in the order of the table.
func groups() []group {
	return []group{
		{"Routes and methods", routeCases()},
		{"Where a request comes from", originCases()},
		{"Queries", queryCases()},
		{"JSON bodies", bodyCases()},
		{"Runners", runnerCases()},
		{"Claiming", claimCases()},
		{"Callbacks", callbackCases()},
		{"Claims", claimViewCases()},
		{"Entity types", typeCases()},
		{"Entities", entityCases()},
		{"Messages and signals", sendCases()},
		{"Tags", tagCases()},
		{"Operators' actions", actionCases()},
		{"Streams", streamCases()},
		{"Appends", appendCases()},
		{"Entities' streams", mainCases()},
		{"Wake streams", wakeStreamCases()},
	}
}

func call(name, method, path, body string, header ...string) badInput {
	return badInput{name, func(*world) request {
		return request{method: method, path: path, body: body, header: header}
	}}
}

func routeCases() []badInput {
	return []badInput{
		call("a route that is not there", "GET", "/_electric/nothing", ``),
		call("a stream's mount without a path", "GET", "/v1/stream", ``),
		call("a version that is not there", "GET", "/v2/stream/a/b/c", ``),
		call("a doubled slash", "GET", "//_electric/runners", ``),
		call("a slash at the end", "GET", "/_electric/runners/", ``),
		call("a route with its slash percent-encoded", "GET", "/_electric%2Frunners", ``),
		call("a route's first segment percent-encoded", "GET", "/%5Felectric/runners", ``),
		call("a relative path", "GET", "/_electric/../_electric/runners", ``),
		call("the root", "GET", "/", ``),
		call("a method that the path does not take", "PATCH", "/_electric/runners", ``),
		call("a method that nothing takes", "BREW", "/demo/held/main", ``),
		call("a method in small letters", "get", "/_electric/runners", ``),
	}
}

func originCases() []badInput {
	return []badInput{
		call("a host that is not the server's, without authentication", "GET", "/_electric/runners", ``, "Host", "evil.example"),
		call("a page of another origin, without authentication", "POST", "/_electric/runners", `{"id":"r9"}`, "Origin", "http://evil.example"),
		call("an opaque origin", "POST", "/_electric/runners", `{"id":"r9"}`, "Origin", "null"),
		call("a principal that is none", "GET", "/_electric/runners", ``, "Electric-Principal", "alice"),
		call("a principal that is too long", "GET", "/_electric/runners", ``, "Electric-Principal", "user:"+strings.Repeat("a", 300)),
		call("a principal's URL with a broken escape", "GET", "/_electric/runners", ``, "Electric-Principal", "/principal/user%3"),
	}
}

func queryCases() []badInput {
	return []badInput{
		call("a query with a broken escape", "GET", "/_electric/entities?type=%zz", ``),
		call("a query with a semicolon", "GET", "/_electric/entities?type=demo;status=idle", ``),
		call("a query that is not UTF-8", "GET", "/_electric/runners?after=%ff", ``),
		call("a query with NUL in a name that nobody reads", "GET", "/_electric/claims?%00=1", ``),
		call("a stream's query with NUL", "GET", "/v1/stream/items?offset=%00", ``),
		call("a wake stream's query with NUL", "GET", "/runners/r1/wake?offset=-1&cursor=%00", ``),
		call("a wake stream's query with a broken escape", "GET", "/runners/r1/wake?offset=-1&cursor=%zz", ``),
	}
}

func bodyCases() []badInput {
	to := func(name, body string, header ...string) badInput {
		return call(name, "POST", "/_electric/runners", body, header...)
	}
	return []badInput{
		to("broken JSON", `{"id":`),
		to("something after the JSON", `{"id":"r9"} {}`),
		to("an array for an object", `[]`),
		to("null for an object", `null`),
		to("a string for an object", `"r9"`),
		to("a field of the wrong type", `{"id":7}`),
		to("a field inside a field of the wrong type", `{"id":"r9","sandbox_profiles":[{"name":1}]}`),
		to("a field in another case", `{"ID":"r9"}`),
		to("a field given twice", `{"id":"r9","id":"r8"}`),
		to("NUL as an escape", `{"id":"r\u0000"}`),
		to("NUL as a byte", "{\"id\":\"r\x00\"}"),
		to("text that is not UTF-8", "{\"id\":\"r\xff\"}"),
		to("half of a surrogate pair", `{"id":"r9","label":"\ud800"}`),
		to("a number with a huge exponent", `{"id":"r9","more":1e400000}`),
		to("deep nesting", `{"id":"r9","more":`+strings.Repeat("[", 300)+strings.Repeat("]", 300)+`}`),
		to("a byte order mark", "\ufeff"+`{"id":"r9"}`),
		to("a body over the limit", `{"id":"r9","label":"`+strings.Repeat("x", maxBody)+`"}`),
		{"a body over the limit that does not tell its length", func(*world) request {
			return request{method: "POST", path: "/_electric/runners", body: `{"id":"r9","label":"` + strings.Repeat("x", maxBody) + `"}`, chunked: true}
		}},
		to("a form", "id=r9", "Content-Type", "multipart/form-data; boundary=x"),
		to("a type of body that is not JSON", `{"id":"r9"}`, "Content-Type", "application/xml"),
		to("another character set", `{"id":"r9"}`, "Content-Type", "application/json; charset=utf-16"),
		to("a content type that is none", `{"id":"r9"}`, "Content-Type", "json"),
		to("a compressed body", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "Content-Type", "application/json", "Content-Encoding", "gzip"),
	}
}
