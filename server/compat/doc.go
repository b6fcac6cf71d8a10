// Package compat holds Wakelatch against the public implementations of the protocols it speaks. Its tests
// need Node and npm and so the build tag compat:
//
//	go test -tags compat -v ./server/compat
//
// They install the locked npm packages in a folder of their own and run, against real nodes, the published
// client of Durable Streams and the published conformance suite.
package compat
