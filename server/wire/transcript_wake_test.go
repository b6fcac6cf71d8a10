package wire_test

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

const jsonType = "application/json"

// registration is what a host and a user do before the first wake.
func registration(tr *transcript) {
	tr.say("A host registers its runner. It has read nothing of its wake stream yet.")
	tr.tell("POST", "/_electric/runners", `{"id":"r1","owner_principal":"/principal/system%3Adev-local","label":"a laptop","kind":"local","sandbox_profiles":[{"name":"local","label":"Local"}]}`)
	tr.say("A host registers a type; registering it again updates it.")
	tr.tell("POST", "/_electric/entity-types", `{"name":"demo","description":"an agent","default_dispatch_policy":`+policy("r1")+`}`)
	tr.tell("POST", "/_electric/entity-types", `{"name":"demo","description":"an assistant","default_dispatch_policy":`+policy("r1")+`}`)
	tr.say("A user spawns an entity; a second spawn is told which there is.")
	tr.tell("PUT", "/_electric/entities/demo/one", `{"args":{"model":"small"},"tags":{"team":"red"},"initialMessage":"hello"}`, "Electric-Principal", "user:alice")
	tr.tell("PUT", "/_electric/entities/demo/one", `{}`)
	tr.say("The entity, at once; and when there is a newer version: there is none in time, and there is one already.")
	got := tr.tell("GET", "/_electric/entities/demo/one", ``)
	var entity struct {
		Version int64 `json:"version"`
	}
	require.NoError(tr.t, json.Unmarshal([]byte(got.body), &entity))
	tr.tell("GET", "/_electric/entities/demo/one?live=long-poll&version="+strconv.FormatInt(entity.Version, 10), ``)
	tr.tell("GET", "/_electric/entities/demo/one?live=long-poll&version=0", ``)
	tr.say("The runner says that it lives and how far it has read; registering again, it is told where to go on.")
	tr.tell("POST", "/_electric/runners/r1/heartbeat", `{"lease_ms":90000,"wake_stream_offset":"`+tr.tail("/runners/r1/wake")+`","diagnostics":{"stream_connected":true,"last_heartbeat_ok":true,"reconnect_count":0}}`)
	tr.tell("POST", "/_electric/runners", `{"id":"r1","label":"a laptop"}`)
}

// wholeWake is one wake from the message to its release, as the published runner goes through it.
func wholeWake(tr *transcript) {
	tr.prepare()
	tr.must(201, "PUT", "/_electric/entities/demo/one", `{}`)
	tr.say("A user sends a message.")
	tr.tell("POST", "/_electric/entities/demo/one/send", `{"payload":"hello","type":"text"}`, "Electric-Principal", "user:alice")
	tr.say("The runner reads its wake stream, and waits for more.")
	read := tr.tell("GET", "/runners/r1/wake?offset=-1", ``)
	tr.tell("GET", "/runners/r1/wake?offset="+next(read)+"&live=long-poll", ``)
	tr.say("It claims the wake with the event as it read it.")
	event := strings.Trim(read.body, "[]\n")
	w := held(tr, tr.tell("POST", "/_electric/runners/r1/claim", event))
	tr.say("It confirms, and gets the write token.")
	confirmed := tr.tell("POST", w.callback, `{"epoch":1,"wakeId":"`+w.Consumer+`"}`, w.claimHeader()...)
	w.writeToken = writeTokenIn(tr, confirmed)
	tr.say("It reads the entity's stream from its start.")
	before := next(tr.tell("GET", "/demo/one/main?offset=-1", ``, "Electric-Runner-Id", "r1"))
	tr.say("It appends, twice the same: once is written.")
	run := `[{"type":"run","key":"run-1","value":{"status":"started"},"headers":{"operation":"insert","txid":"of-the-runner"}}]`
	written := next(tr.record(w.append(run, 0)))
	tr.record(w.append(run, 0))
	tr.say("Its own write comes back on the long-poll, with the end offset of the append as the event's.")
	tr.tell("GET", "/demo/one/main?offset="+before+"&live=long-poll", ``)
	tr.say("It sets a tag and takes it away.")
	tr.tell("POST", "/_electric/entities/demo/one/tags/color", `{"value":"red"}`, w.writeHeader()...)
	tr.tell("DELETE", "/_electric/entities/demo/one/tags/color", ``, w.writeHeader()...)
	tr.say("It is alive.")
	tr.tell("POST", w.callback, `{"epoch":1}`, w.claimHeader()...)
	tr.say("It is done. The claim is released, and the entity idle.")
	tr.tell("POST", w.callback, w.doneBody(written), w.claimHeader()...)
	tr.released(w)
	tr.tell("GET", "/_electric/claims/"+w.Consumer+"/1", ``)
	tr.tell("GET", "/_electric/entities/demo/one", ``)
}

// claiming is every answer to a claim.
func claiming(tr *transcript) {
	tr.prepare()
	tr.must(201, "POST", "/_electric/runners", `{"id":"r2"}`)
	for _, id := range []string{"one", "paused", "stopped"} {
		tr.spawn(id)
	}
	claim := func(runner, id string, generation int64) answer {
		return tr.tell("POST", "/_electric/runners/"+runner+"/claim", wakeEvent(id, generation))
	}
	tr.say("Another runner's wake is no work of this one's. An entity that is not there has nothing for anybody.")
	claim("r2", "one", 1)
	claim("r1", "none", 1)
	tr.say("A claim; asked again before it is confirmed, the same answer.")
	w := held(tr, claim("r1", "one", 1))
	claim("r1", "one", 1)
	tr.say("Confirmed, it is claimed already.")
	tr.must(200, "POST", w.callback, `{"wakeId":"`+w.Consumer+`"}`, w.claimHeader()...)
	claim("r1", "one", 1)
	tr.say("Done and released, there is no work.")
	tr.finish(w, tr.tail(w.Path))
	claim("r1", "one", 1)
	tr.say("The next wake has the next epoch, and begins after what was acknowledged.")
	tr.must(200, "POST", "/_electric/entities/demo/one/send", `{"payload":"again"}`)
	claim("r1", "one", 2)
	tr.say("The entity is paused, or stopped.")
	tr.must(200, "POST", "/_electric/entities/demo/paused/signal", `{"signal":"SIGSTOP"}`)
	claim("r1", "paused", 1)
	tr.must(200, "POST", "/_electric/entities/demo/stopped/signal", `{"signal":"SIGTERM"}`)
	claim("r1", "stopped", 1)
}

// callbacks are every answer to a confirmation and to a heartbeat.
func callbacks(tr *transcript) {
	tr.prepare()
	tr.spawn("one")
	w := tr.claim("one", 1)
	confirm := `{"epoch":1,"wakeId":"` + w.Consumer + `"}`
	tr.say("Without a token, with one that is none, and with one that is none before a good bearer: that header is read first.")
	tr.tell("POST", w.callback, confirm)
	tr.tell("POST", w.callback, confirm, "Electric-Claim-Token", "none")
	tr.tell("POST", w.callback, confirm, "Electric-Claim-Token", "none", "Authorization", "Bearer "+w.ClaimToken)
	tr.say("The epoch is not the token's: nothing changes.")
	tr.tell("POST", w.callback, `{"epoch":2,"wakeId":"`+w.Consumer+`"}`, w.claimHeader()...)
	tr.say("A confirmation, with the token as a bearer and the epoch left out; and a second one.")
	tr.tell("POST", w.callback, `{"wakeId":"`+w.Consumer+`"}`, "Authorization", "Bearer "+w.ClaimToken)
	tr.tell("POST", w.callback, confirm, w.claimHeader()...)
	tr.say("A heartbeat, with and without the epoch.")
	tr.tell("POST", w.callback, `{"epoch":1}`, w.claimHeader()...)
	tr.tell("POST", w.callback, `{}`, w.claimHeader()...)
	tr.say("The runner hands the claim back: the work that is left becomes another wake.")
	tr.tell("POST", w.callback, `{"epoch":1,"release":true,"reason":"shutting down"}`, w.claimHeader()...)
	tr.tell("GET", "/_electric/claims/"+w.Consumer+"/1", ``)
	tr.say("What comes after it is told what became of the claim.")
	tr.tell("POST", w.callback, `{"epoch":1}`, w.claimHeader()...)
	tr.tell("POST", w.callback, confirm, w.claimHeader()...)
}

// dones are every answer to a done.
func dones(tr *transcript) {
	tr.prepare()
	tr.spawn("one")
	first := tr.work("one", 1)
	end := tr.tail(first.Path)
	tr.say("A done, the same again, and the same once more after the release.")
	tr.tell("POST", first.callback, first.doneBody(end), first.claimHeader()...)
	tr.tell("POST", first.callback, first.doneBody(end), first.claimHeader()...)
	tr.released(first)
	tr.tell("POST", first.callback, first.doneBody(end), first.claimHeader()...)
	tr.say("The next claim is not touched by a late done of the one before.")
	tr.must(200, "POST", "/_electric/entities/demo/one/send", `{"payload":"again"}`)
	second := tr.work("one", 2)
	tr.tell("POST", first.callback, first.doneBody(end), first.claimHeader()...)
	tr.tell("POST", first.callback, `{"epoch":2,"done":true}`, first.claimHeader()...)
	tr.tell("GET", "/_electric/claims/"+second.Consumer+"/2", ``)
	tr.say("With the done, the write token is refused, whatever it is used for.")
	tr.tell("POST", second.callback, second.doneBody(tr.tail(second.Path)), second.claimHeader()...)
	tr.record(second.append(`[{"type":"late"}]`, 0))
	tr.tell("POST", "/_electric/entities/demo/one/tags/late", `{"value":"x"}`, second.writeHeader()...)
}

// held is the claim in the answer to one.
func held(tr *transcript, got answer) *wake {
	w := &wake{}
	require.NoError(tr.t, json.Unmarshal([]byte(got.body), w))
	w.callback = "/_electric/wake-callbacks/" + w.Consumer
	return w
}

// next is the offset that an answer tells to go on from.
func next(got answer) string { return got.header.Get("Stream-Next-Offset") }

// tail is the end of a stream, looked up without being written down.
func (tr *transcript) tail(path string) string {
	return next(tr.must(200, "HEAD", path, ""))
}

func writeTokenIn(tr *transcript, got answer) string {
	var confirmed struct {
		WriteToken string `json:"writeToken"`
	}
	require.NoError(tr.t, json.Unmarshal([]byte(got.body), &confirmed))
	return confirmed.WriteToken
}
