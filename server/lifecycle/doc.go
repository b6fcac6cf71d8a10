// Package lifecycle holds the tests of the claim lifecycle on two nodes, through real HTTP and real
// Postgres; where a node dies it is a process of its own and gets SIGKILL. Each test is named after a way in
// which a claim, a wake or a message can be lost; docs/defects.md says which of them were seen elsewhere.
package lifecycle
