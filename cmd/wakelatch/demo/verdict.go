package demo

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// Verdict is what came of a demo.
type Verdict struct {
	Sent     int
	Once     int         // messages handled exactly once
	Again    []Repeat    // messages handled again after a take-over
	Claims   ClaimCounts // by how they ended
	TakeOver int         // claims that expired and that a later one of the entity followed
	Stuck    int         // entities with work that nobody will do, or that run for nobody
	Tried    int         // appends that the orphan sent
	Refused  int         // of those, the ones that were refused
	Landed   int         // appends in a stream under an epoch that was over
	Broken   int         // rows of the consistency query
	// Node and Runner are how the claims ended that were active when their node and their runner were killed.
	Node, Runner Ending
	// Problems are what must not be, in sentences; none means that the demo succeeded.
	Problems []string
}

// Repeat is a message that was handled under more than one claim.
type Repeat struct {
	Message int
	Entity  string
	By      []Ending
}

// Ending is how a claim of an entity ended.
type Ending struct {
	Kill   string // the process that was killed while it was active, if one was
	Entity string
	Epoch  int64
	Status string
}

// ClaimCounts are claims by status.
type ClaimCounts struct{ Released, Expired, Failed, Leaked int }

type claimKey struct {
	entity string
	epoch  int64
}

// judge is the reading of a story.
type judge struct {
	Verdict
	facts  Facts
	claims map[claimKey]Claim
}

// Judge says what came of it. A problem is whatever the demo exists to show that it does not happen, and a fault
// that did not come to be.
func Judge(s Story, f Facts) Verdict {
	j := &judge{facts: f, claims: map[claimKey]Claim{}}
	j.Sent = len(f.Sent)
	for _, c := range s.Claims {
		j.claims[claimKey{c.Entity, c.Epoch}] = c
	}
	j.judgeMessages(s.Entries, j.stale(s.Entries))
	j.judgeClaims(s.Claims)
	j.judgeWork(s)
	j.judgeFaults()
	return j.Verdict
}

func (j *judge) problem(format string, args ...any) {
	j.Problems = append(j.Problems, fmt.Sprintf(format, args...))
}

// stale finds the entries written under an epoch that was over: those that stand behind a later epoch's, and those
// that are younger than the end of their claim. An append may have several; it is one problem.
func (j *judge) stale(entries []Entry) map[int]bool {
	late := map[int]bool{}
	newest := map[string]int64{}
	told := Entry{}
	for i, e := range entries {
		if e.Epoch == 0 {
			continue
		}
		why := j.whyStale(e, newest[e.Entity])
		newest[e.Entity] = max(newest[e.Entity], e.Epoch)
		if late[i] = why != ""; !late[i] || (told.Entity == e.Entity && told.Offset == e.Offset) {
			continue
		}
		told = e
		j.Landed++
		j.problem("a stale write landed: at offset %d of %s, message %d, %s", e.Offset, e.Entity, e.Message, why)
	}
	return late
}

// whyStale says why an entry must not be where it is, and nothing of one that may; newest is the highest epoch that
// wrote before it.
func (j *judge) whyStale(e Entry, newest int64) string {
	c, known := j.claims[claimKey{e.Entity, e.Epoch}]
	switch {
	case !known:
		return fmt.Sprintf("under epoch %d, which was never claimed", e.Epoch)
	case e.Epoch < newest:
		return fmt.Sprintf("under epoch %d (%s), behind what epoch %d wrote", e.Epoch, c.Status, newest)
	case !c.Over.IsZero() && e.At.After(c.Over):
		return fmt.Sprintf("%d ms after epoch %d was over", e.At.Sub(c.Over).Milliseconds(), e.Epoch)
	}
	return ""
}

// judgeMessages counts what became of each message. What landed too late counts for nothing.
func (j *judge) judgeMessages(entries []Entry, late map[int]bool) {
	stored, epochs := map[int]int{}, map[int][]int64{}
	for i, e := range entries {
		switch {
		case j.facts.Sent[e.Message] != e.Entity:
			j.problem("offset %d of %s is about message %d, which was not sent there", e.Offset, e.Entity, e.Message)
		case e.Epoch == 0:
			stored[e.Message]++
		case !late[i]:
			epochs[e.Message] = append(epochs[e.Message], e.Epoch)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(j.facts.Sent)) {
		entity := j.facts.Sent[n]
		if stored[n] != 1 {
			j.problem("message %d of %s is in the stream %d times", n, entity, stored[n])
		}
		switch by := epochs[n]; {
		case len(by) == 0:
			j.problem("message %d of %s was lost: it was never handled", n, entity)
		case len(by) == 1:
			j.Once++
		case j.takenOver(entity, by):
			again := Repeat{Message: n, Entity: entity}
			for _, epoch := range by {
				again.By = append(again.By, j.ending(Kill{Entity: entity, Epoch: epoch}))
			}
			j.Again = append(j.Again, again)
		default:
			j.problem("message %d of %s was handled %d times without a take-over, under the epochs %d", n, entity, len(by), by)
		}
	}
}

// takenOver is true of epochs that each handled a message once, all but the last of which came to nothing.
func (j *judge) takenOver(entity string, epochs []int64) bool {
	for i, epoch := range epochs[:len(epochs)-1] {
		status := j.claims[claimKey{entity, epoch}].Status
		if epoch >= epochs[i+1] || (status != "expired" && status != "failed") {
			return false
		}
	}
	return true
}

func (j *judge) judgeClaims(claims []Claim) {
	last := map[string]int64{}
	for _, c := range claims {
		last[c.Entity] = max(last[c.Entity], c.Epoch)
	}
	for _, c := range claims {
		switch c.Status {
		case "released":
			j.Claims.Released++
		case "failed":
			j.Claims.Failed++
		case "expired":
			j.Claims.Expired++
			if c.Epoch < last[c.Entity] {
				j.TakeOver++
			}
		default:
			j.Claims.Leaked++
			j.problem("the claim of %s epoch %d leaked: it is still %s", c.Entity, c.Epoch, c.Status)
		}
	}
}

func (j *judge) judgeWork(s Story) {
	for _, url := range s.Pending {
		j.problem("%s is stuck with work that is pending", url)
	}
	for _, url := range s.Unheld {
		j.problem("%s is stuck: it runs and has no claim", url)
	}
	j.Stuck, j.Broken = len(s.Pending)+len(s.Unheld), len(s.Violations)
	for _, v := range s.Violations {
		j.problem("the consistency query finds %s", v)
	}
}

// judgeFaults sees that what was to go wrong did, or the rest would show nothing.
func (j *judge) judgeFaults() {
	j.Node, j.Runner = j.ending(j.facts.NodeKill), j.ending(j.facts.RunnerKill)
	if j.Node.Kill == "" {
		j.problem("no node was killed while it held a confirmed claim")
	}
	switch r := j.Runner; {
	case r.Kill == "":
		j.problem("no runner was killed between claim and done")
	case r.Status != "expired":
		j.problem("the claim of %s epoch %d, whose runner was killed, is %s and not expired", r.Entity, r.Epoch, r.Status)
	}
	if j.TakeOver == 0 {
		j.problem("no claim expired and was taken over")
	}
	j.Tried = len(j.facts.Stale)
	for _, a := range j.facts.Stale {
		if a.Status == http.StatusUnauthorized {
			j.Refused++
			continue
		}
		j.problem("%s answered an append under an epoch that was over with %d and not with 401", a.Node, a.Status)
	}
	if j.Tried == 0 {
		j.problem("no append was sent under an epoch that was over")
	}
}

func (j *judge) ending(k Kill) Ending {
	return Ending{
		Kill: k.Process, Entity: k.Entity, Epoch: k.Epoch,
		Status: cmp.Or(j.claims[claimKey{k.Entity, k.Epoch}].Status, "gone"),
	}
}
