// The published conformance suite, whole, against one node.
import "./keys.mjs"
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({
  baseUrl: process.env.WAKELATCH_NODE_A,
  longPollTimeoutMs: Number(process.env.WAKELATCH_LONG_POLL_MS),
})
