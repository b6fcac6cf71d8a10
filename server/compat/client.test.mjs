// The published client against two nodes of one database. Whatever is done on one is seen on the other.
import "./keys.mjs"
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { describe, expect, test } from "vitest"

const nodeA = process.env.WAKELATCH_NODE_A
const nodeB = process.env.WAKELATCH_NODE_B

const path = (name) => `/v1/stream/client/${name}-${Date.now()}-${Math.random().toString(36).slice(2)}`

// A fetch that sends every request to the other node than the one before.
function alternate() {
  const nodes = [nodeA, nodeB]
  const asked = { [nodeA]: 0, [nodeB]: 0 }
  const send = (input, init) => {
    const node = nodes[0]
    nodes.reverse()
    asked[node]++
    const url = new URL(input instanceof Request ? input.url : input)
    return fetch(new URL(url.pathname + url.search, node), init)
  }
  return { send, asked }
}

describe("The client across two nodes", () => {
  test("creates on one node, appends on the other, catches up on both", async () => {
    const at = path("basic")
    const onA = await DurableStream.create({ url: nodeA + at, contentType: "application/json" })
    const onB = new DurableStream({ url: nodeB + at, contentType: "application/json" })
    await onB.append(JSON.stringify({ n: 1 }))
    await onA.append(JSON.stringify({ n: 2 }))
    for (const node of [nodeA, nodeB]) {
      const response = await stream({ url: node + at, offset: "-1", live: false })
      expect(await response.json()).toEqual([{ n: 1 }, { n: 2 }])
    }
    expect((await onA.head()).offset).toBe((await onB.head()).offset)
  })

  test("an idempotent producer whose batches go to both nodes in flight writes each once, in order", async () => {
    const at = path("producer")
    const { send, asked } = alternate()
    const handle = await DurableStream.create({ url: nodeA + at, contentType: "application/json", fetch: send })
    const failures = []
    const producer = new IdempotentProducer(handle, "p", {
      maxBatchBytes: 64, lingerMs: 0, maxInFlight: 5, fetch: send, onError: (error) => failures.push(error),
    })
    const sent = Array.from({ length: 200 }, (_, n) => ({ n }))
    for (const item of sent) producer.append(JSON.stringify(item))
    await producer.flush()
    expect(failures).toEqual([])
    const response = await stream({ url: nodeB + at, offset: "-1", live: false })
    expect(await response.json()).toEqual(sent)
    expect(asked[nodeA]).toBeGreaterThan(5)
    expect(asked[nodeB]).toBeGreaterThan(5)
    await producer.detach()
  })

  test("a producer that restarts with the next epoch shuts the older one out on the other node", async () => {
    const at = path("epochs")
    const handle = await DurableStream.create({ url: nodeA + at, contentType: "application/json" })
    const older = new IdempotentProducer(handle, "p", { epoch: 0, onError: (error) => failures.push(error) })
    const failures = []
    older.append(JSON.stringify(1))
    await older.flush()
    const newer = new IdempotentProducer(new DurableStream({ url: nodeB + at, contentType: "application/json" }), "p", { epoch: 1 })
    newer.append(JSON.stringify(2))
    await newer.flush()
    older.append(JSON.stringify(3))
    await older.flush().catch(() => {})
    expect(failures.map((error) => error.name)).toEqual(["StaleEpochError"])
    const response = await stream({ url: nodeA + at, offset: "-1", live: false })
    expect(await response.json()).toEqual([1, 2])
    await Promise.allSettled([older.detach(), newer.detach()])
  })

  test("a long-poll on one node sees what is appended on the other, from the beginning and on", async () => {
    const at = path("live")
    const writer = await DurableStream.create({ url: nodeA + at, contentType: "application/json" })
    await writer.append(JSON.stringify({ n: 0 }))
    const end = new AbortController()
    const reader = await stream({ url: nodeB + at, offset: "-1", live: "long-poll", signal: end.signal })
    const seen = []
    let more = deferred()
    reader.subscribeJson((batch) => {
      seen.push(...batch.items)
      more.resolve()
      more = deferred()
    })
    for (let n = 1; n <= 20; n++) {
      await writer.append(JSON.stringify({ n }))
      while (seen.length <= n) await more.promise
    }
    end.abort()
    expect(seen).toEqual(Array.from({ length: 21 }, (_, n) => ({ n })))
  })
})

function deferred() {
  let resolve
  const promise = new Promise((done) => { resolve = done })
  return { promise, resolve }
}
