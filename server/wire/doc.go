// Package wire holds a whole node against the wire contract from outside. Its tests
//
//   - execute the table of docs/api.md that says which bad input is answered how, row by row: status, code, message,
//     and a database that is the same afterwards;
//   - record a whole wake, and what else the contract promises, as transcripts of requests and answers, in testdata;
//   - run a client that repeats its requests by the rules of the published runner against every one of those errors,
//     and count what it sends.
//
// The table and the transcripts are written anew with
//
//	go test ./server/wire -update
//
// and are to be read after that like any other change: they are what runners see.
package wire
