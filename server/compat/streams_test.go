//go:build compat

package compat_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// mustPass are the groups of the conformance suite in which every test passes. The others are of features
// that are not there yet (time to live, forks, subscriptions) and of permission for other origins, which a
// server without keys must not give; what fails in them is printed.
var mustPass = []string{
	"Basic Stream Operations",
	"Append Operations",
	"Read Operations",
	"Long-Poll Operations",
	"HTTP Protocol",
	"HEAD Metadata",
	"Offset Validation and Resumability",
	"Protocol Edge Cases",
	"Long-Poll Edge Cases",
	"Read-Your-Writes Consistency",
	"JSON Mode",
	"Idempotent Producer Operations",
	"Browser Security Headers",
	"Case-Insensitivity",
	"Content-Type Validation",
	"Chunking and Large Payloads",
	"Property-Based Tests (fast-check)",
	"SSE Mode",
	"Stream Closure",
}

func TestConformanceSuite(t *testing.T) {
	node := start(t, dbtest.New(t), server.AuthNone)
	judge(t, run(t, install(t), "conformance.test.mjs", "", node), mustPass)
}

func TestClientAcrossTwoNodes(t *testing.T) {
	folder := install(t)
	for _, auth := range []string{server.AuthNone, server.AuthKeys} {
		t.Run(auth, func(t *testing.T) {
			d := dbtest.New(t)
			a, b := start(t, d, auth), start(t, d, auth)
			key := ""
			if auth == server.AuthKeys {
				var err error
				_, key, err = apikey.NewManager(d.Pool).Create(t.Context(), apikey.CreateRequest{
					Tenant: "acme", Principal: "user:alice", Role: apikey.Client, By: "test",
				})
				require.NoError(t, err)
			}
			judge(t, run(t, folder, "client.test.mjs", key, a, b), []string{"The client across two nodes"})
		})
	}
}

// judge prints what ran and fails for a required group that did not run or has a test that did not pass.
func judge(t *testing.T, outcomes []outcome, required []string) {
	t.Helper()
	passed, ran := map[string]int{}, map[string]int{}
	var groups []string
	for _, o := range outcomes {
		if ran[o.group()] == 0 {
			groups = append(groups, o.group())
		}
		ran[o.group()]++
		if o.Status == "passed" {
			passed[o.group()]++
			continue
		}
		why := "(no message)"
		if len(o.Messages) > 0 {
			why, _, _ = strings.Cut(o.Messages[0], "\n")
		}
		t.Logf("%s: %s: %s", strings.ToUpper(o.Status), strings.Join(append(slices.Clone(o.Groups), o.Title), " > "), why)
	}
	for _, group := range groups {
		kind := "        "
		if slices.Contains(required, group) {
			kind = "required"
		}
		t.Logf("%s %4d of %4d passed: %s", kind, passed[group], ran[group], group)
	}
	for _, group := range required {
		require.Positive(t, ran[group], "no test of %q ran", group)
		require.Equal(t, ran[group], passed[group], "not every test of %q passed", group)
	}
}
