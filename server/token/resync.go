package token

// Mark is the moment before a listing of the active claims began.
type Mark struct {
	at int64
}

// BeginResync is called before the listing's statement is sent.
func (v *View) BeginResync() Mark { return Mark{at: v.now()} }

// Resync takes a full listing of the active claims that began after mark. The
// listed claims are put; a claim that is missing and has not been confirmed
// since the mark is dropped and looked up when its token is next presented. A
// Put or Drop that raced the listing is never undone. A listing older than
// half a minute is not used: every claim is looked up again instead.
func (v *View) Resync(mark Mark, active []Claim) {
	if v.now()-mark.at > int64(listingAge) {
		v.Distrust()
		return
	}
	for _, c := range active {
		v.put(c, mark.at)
	}
	// Put has confirmed every listed claim at the mark or later.
	v.table.each(func(e *entry) {
		if e.live() && e.confirmed.Load() < mark.at {
			v.miss(e, mark)
		}
	})
}

// miss ends an entry that a listing did not name, unless it has changed since.
// Its epoch is not marked as over: a claim made while the listing was read is
// missing as well, and a look-up will find it.
func (v *View) miss(e *entry, mark Mark) {
	tenant, stream := string(e.text[:e.split]), string(e.text[e.split:e.key])
	v.table.change(e.hash, tenant, stream, func(current *entry) *entry {
		if current != e || e.confirmed.Load() >= mark.at {
			return current
		}
		v.live.Add(-1)
		next := newEntry(e.hash, tenant, stream, "")
		next.over, next.ended = e.over, v.now()
		return next
	})
}
