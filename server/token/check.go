package token

// Verdict is what memory says of a token.
type Verdict uint8

// The verdicts. Unknown is the zero one: memory cannot tell.
const (
	Unknown Verdict = iota
	Valid
	Refused

	verdicts = 3
)

// String is the verdict's name in metrics.
func (v Verdict) String() string {
	switch v {
	case Valid:
		return "valid"
	case Refused:
		return "refused"
	case Unknown:
	}
	return "unknown"
}

// Check says what memory knows of a write token for a stream. It takes no
// lock, allocates nothing and asks nobody. Valid means that the claim was
// active within the time of trust; Refused is final, because epochs only grow.
func (v *View) Check(tenant, stream, tok string) Verdict {
	verdict, _ := v.check(tenant, stream, tok)
	return verdict
}

func (v *View) check(tenant, stream, tok string) (Verdict, Reason) {
	hash := v.table.hash(tenant, stream)
	e := v.table.get(hash, tenant, stream)
	verdict, reason := Valid, Reason("")
	if !e.live() || !equal(e.token(), tok) {
		verdict, reason = v.compare(e, tenant, stream, tok)
	} else if !v.trusted(e) {
		verdict = Unknown
	}
	v.metrics.checks.add(hash, verdict)
	return verdict, reason
}

func (v *View) trusted(e *entry) bool {
	now := v.coarse.Load()
	if now == 0 {
		now = v.now()
	}
	confirmed := e.confirmed.Load()
	return now-confirmed < v.trust && confirmed > v.distrusted.Load()
}

// compare judges a token that is not the one in memory. Of a token nobody has
// proven it says no only where the answer is no for every token of that epoch.
func (v *View) compare(e *entry, tenant, stream, tok string) (Verdict, Reason) {
	p, ok := parse(tok)
	switch {
	case !ok:
		return Refused, Malformed
	case p.Kind != WriteToken:
		return Refused, WrongKind
	case p.Tenant != tenant:
		return Refused, Foreign
	case e == nil || p.Epoch > e.over && !e.live():
		return Unknown, ""
	case p.Epoch <= e.over:
		return Refused, Over
	case p.Epoch > e.epoch || !v.trusted(e):
		return Unknown, ""
	}
	// It names the epoch of the claim in memory. During a rotation it may be
	// the same claim's token by another key of the ring.
	if !v.keyring.made(&p, Claim{Tenant: tenant, Stream: stream, Consumer: p.Consumer, Epoch: p.Epoch}) {
		return Refused, Forged
	}
	// A field has one text, so the same consumer reads the same before the MAC.
	if held := e.token(); string(held[:len(held)-macText]) != tok[:len(tok)-macText] {
		return Refused, NotHolder
	}
	return Valid, ""
}
