// Package api is the HTTP surface of a node and nothing else. It reads a
// request, calls one operation of the domain and writes the answer; it holds no
// state of its own and knows no SQL.
//
// # How a request goes
//
// routes.go has every route. A route's handler returns its failure; the adapter
// there hands it to the one error table in errors.go, which alone decides on
// status, code and message. Around all routes, middleware.go gives the request
// its id, writes one log line for it, counts it under the route's template and
// turns a panic into a 500.
//
// # Who calls
//
// [Authenticator] is the seam, and [NoAuth] and [KeyAuth] are what there is of it. Everything but the health routes is
// admitted by it first, for where the request comes from; then it says who calls, and the route's role decides. Callbacks
// and appends to an entity's stream prove themselves with a token of their claim instead, which opens them alone; a key
// beside it only must not contradict it. The table of docs/api.md has all of it, and the tests walk it.
//
// # What ends a request
//
// A request that waits (a long-poll) follows its connection and the server's
// base context, and ends at once when either is cancelled. Every other request
// is finished whatever happens to its connection, within Options.RequestTimeout:
// a runner sends its done once, and a node that drains still answers it.
//
// # What is refused by name
//
// The TTL, expiry and forks of streams are not
// there yet. Whoever asks for one is told so with a 400 that names it: a feature that is silently left out
// could not be told from one that works.
package api
