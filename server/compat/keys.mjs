// With WAKELATCH_API_KEY set, every request of the process carries it, as an application's own fetch would add it.
const key = process.env.WAKELATCH_API_KEY
if (key) {
  const send = globalThis.fetch
  globalThis.fetch = (input, init) => {
    const request = new Request(input, init)
    request.headers.set("Authorization", `Bearer ${key}`)
    return send(request)
  }
}
