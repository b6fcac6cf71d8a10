package wire_test

// health is a runner's health in each of its states. Time passes by setting back what was noted of it.
func health(tr *transcript) {
	tr.prepare()
	look := func(said string) {
		tr.say(said)
		tr.tell("GET", "/_electric/runners/r1/health", ``)
	}
	beat := func(diagnostics string) {
		tr.must(200, "POST", "/_electric/runners/r1/heartbeat", `{"lease_ms":3600000,"diagnostics":`+diagnostics+`}`)
	}
	const well = `{"stream_connected":true,"last_heartbeat_ok":true,"reconnect_count":0}`
	look("It has never been heard of.")
	beat(well)
	look("It is well.")
	beat(`{"stream_connected":false,"last_heartbeat_ok":false,"reconnect_count":6,"last_error":"refused","secret":"x","started_at":7}`)
	look("It says that it is not well. What is unknown or of the wrong type is not kept.")
	beat(well)
	tr.spawn("waiting")
	tr.spawn("one")
	w := tr.work("one", 1)
	look("It works on one entity, and a wake for another is out.")
	tr.exec(`UPDATE wakelatch.consumer_claims SET claimed_at = claimed_at - interval '3 hours', confirmed_at = confirmed_at - interval '3 hours'`)
	tr.exec(`UPDATE wakelatch.claim_leases SET last_progress_at = last_progress_at - interval '3 hours', last_heartbeat_at = last_heartbeat_at - interval '3 hours'`)
	look("It beats, and nothing comes of its claim.")
	tr.exec(`UPDATE wakelatch.claim_leases SET expires_at = now() - interval '100 seconds'`)
	look("The claim's lease is long past, and nobody has released it.")
	tr.finish(w, tr.tail(w.Path))
	tr.exec(`UPDATE wakelatch.runner_diagnostics SET lease_expires_at = now() - interval '1 second'`)
	look("It was heard of once.")
	tr.must(200, "POST", "/_electric/runners/r1/disable", ``)
	look("It is disabled.")
	tr.say("It is not there.")
	tr.tell("GET", "/_electric/runners/none/health", ``)
}

// statuses are every signal in every status, and a claim's end in each.
func statuses(tr *transcript) {
	tr.prepare()
	signal := func(id, name string) {
		tr.tell("POST", "/_electric/entities/demo/"+id+"/signal", `{"signal":"`+name+`"}`)
	}
	status := func(id string) { tr.tell("GET", "/_electric/entities/demo/"+id, ``) }
	tr.say("Idle: paused, and idle again; with work pending, it is armed: generation 2.")
	tr.spawn("a")
	signal("a", "SIGSTOP")
	signal("a", "SIGCONT")
	tr.tell("GET", "/runners/r1/wake?offset=-1", ``)
	tr.say("Running, paused: it stays so when the claim ends.")
	a := tr.work("a", 2)
	status("a")
	signal("a", "SIGSTOP")
	tr.finish(a, tr.tail(a.Path))
	status("a")
	tr.say("Running, paused and resumed under its claim: running.")
	tr.spawn("b")
	b := tr.work("b", 1)
	signal("b", "SIGSTOP")
	signal("b", "SIGCONT")
	signal("b", "SIGINT")
	tr.say("The runner learns of them from the stream alone.")
	tr.tell("GET", "/demo/b/main?offset=-1", ``)
	tr.say("Running, ended: stopping, and stopped with its claim. Then it takes nothing more.")
	signal("b", "SIGTERM")
	tr.tell("POST", "/_electric/entities/demo/b/send", `{"payload":1}`)
	tr.finish(b, tr.tail(b.Path))
	status("b")
	signal("b", "SIGCONT")
	tr.say("Idle, ended: stopped at once.")
	tr.spawn("c")
	signal("c", "SIGTERM")
	tr.say("Paused, ended: stopped at once.")
	tr.spawn("e")
	signal("e", "SIGSTOP")
	signal("e", "SIGTERM")
	tr.say("Running, killed: the claim is released, its token refused, the stream closed.")
	tr.spawn("d")
	d := tr.work("d", 1)
	signal("d", "SIGKILL")
	tr.tell("GET", "/_electric/claims/"+d.Consumer+"/1", ``)
	tr.record(d.append(`[{"type":"late"}]`, 0))
	tr.tell("GET", "/demo/d/main?offset=-1", ``)
	tr.tell("GET", "/demo/d/main?offset="+tr.tail(d.Path)+"&live=long-poll", ``)
	signal("d", "SIGCONT")
}
