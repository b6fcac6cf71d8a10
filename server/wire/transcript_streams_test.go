package wire_test

// plainStreams are the stream protocol on a stream that belongs to nobody.
func plainStreams(tr *transcript) {
	const items = "/v1/stream/items"
	produce := func(epoch, seq string) { tr.tell("POST", items, `[{"n":1},{"n":2}]`, producing(epoch, seq)...) }
	tr.say("Created, there already, and there with another type.")
	tr.tell("PUT", items, ``, "Content-Type", jsonType)
	tr.tell("PUT", items, ``, "Content-Type", jsonType)
	tr.tell("PUT", items, ``, "Content-Type", "text/plain")
	tr.say("An array is flattened by one level; an empty one is refused.")
	within := next(tr.tell("POST", items, `[[1],{"n":0,"headers":{"operation":"insert"}}]`, "Content-Type", jsonType))
	tr.tell("POST", items, `[]`, "Content-Type", jsonType)
	tr.say("A producer: new, the same again, a gap, a new epoch, an epoch of the past, and half of the headers.")
	produce("1", "0")
	produce("1", "0")
	produce("1", "5")
	produce("2", "0")
	produce("1", "1")
	tr.tell("POST", items, `[1]`, "Content-Type", jsonType, "Producer-Id", "p", "Producer-Seq", "2")
	tr.say("From the start, from within, from now, at the tail, and from an offset that is none.")
	tr.tell("GET", items+"?offset=-1", ``)
	tr.tell("GET", items+"?offset="+within, ``)
	tr.tell("GET", items+"?offset=now", ``)
	tr.tell("GET", items+"?offset="+tr.tail(items), ``)
	tr.tell("GET", items+"?offset=7", ``)
	tr.tell("HEAD", items, ``)
	tr.say("The long-poll: with news, and without.")
	tr.tell("GET", items+"?offset="+within+"&live=long-poll", ``)
	tr.tell("GET", items+"?offset="+tr.tail(items)+"&live=long-poll", ``)
	tr.say("Closed with its last item: it ends live reads, and takes nothing more.")
	tr.tell("POST", items, `["end"]`, "Content-Type", jsonType, "Stream-Closed", "true")
	tr.tell("POST", items, `["more"]`, "Content-Type", jsonType)
	produce("2", "1")
	tr.tell("GET", items+"?offset="+tr.tail(items)+"&live=long-poll", ``)
	tr.tell("GET", items+"?offset="+within+"&live=sse", ``)
	tr.tell("HEAD", items, ``)
	tr.say("Deleted.")
	tr.tell("DELETE", items, ``)
	tr.tell("GET", items+"?offset=-1", ``)
	tr.tell("DELETE", items, ``)
	tr.say("Types named like a route are refused.")
	for _, name := range []string{"_electric", "v1", "runners", "principal", "healthz", "readyz", "metrics", "console"} {
		tr.tell("POST", "/_electric/entity-types", `{"name":"`+name+`"}`)
	}
}

// wakeStreams are what a runner's wake stream answers to others and to runners that may not read: never 4xx to a GET.
func wakeStreams(tr *transcript) {
	tr.prepare()
	for _, id := range []string{"one", "two"} {
		tr.spawn(id)
	}
	tr.say("Its own runner, from the start, from an offset, and under the other path.")
	end := next(tr.tell("GET", "/runners/r1/wake?offset=-1", ``))
	tr.tell("GET", "/runners/r1/wake?offset="+end, ``)
	tr.tell("GET", "/v1/stream/runners/r1/wake?offset="+end+"&live=long-poll", ``)
	tr.say("A runner that is not there, and a request that is wrong.")
	tr.tell("GET", "/runners/none/wake?offset=-1", ``)
	tr.tell("GET", "/runners/r1/wake?offset=seven", ``)
	tr.say("Nobody else writes to it.")
	tr.tell("PUT", "/runners/r1/wake", ``, "Content-Type", jsonType)
	tr.tell("POST", "/runners/r1/wake", `[1]`, "Content-Type", jsonType)
	tr.tell("POST", "/v1/stream/runners/r1/wake", ``, "Stream-Closed", "true")
	tr.tell("DELETE", "/%72unners/r1/wake", ``)
	tr.say("An offset below what is kept reads from the first event there is.")
	tr.exec(`DELETE FROM wakelatch.stream_messages WHERE stream_path = 'runners/r1/wake'
		AND end_offset = (SELECT min(end_offset) FROM wakelatch.stream_messages WHERE stream_path = 'runners/r1/wake')`)
	tr.tell("GET", "/runners/r1/wake?offset=0000000000000000", ``)
	tr.say("The runner is disabled, then deleted.")
	tr.must(200, "POST", "/_electric/runners/r1/disable", ``)
	tr.tell("GET", "/runners/r1/wake?offset=-1", ``)
	tr.must(204, "DELETE", "/_electric/runners/r1", `{"reason":"gone"}`)
	tr.tell("GET", "/runners/r1/wake?offset=-1&live=long-poll", ``)
}
