package api

// maxReason bounds what the history keeps of why somebody did something, in bytes.
const maxReason = 1000

// actionBody is what every operator's action takes.
type actionBody struct {
	Reason string `json:"reason"`
}

// mustReason checks the reason of an operator's action, which goes into the history.
func mustReason(reason string) error {
	if reason == "" {
		return invalid("reason", "is missing: say why, the history keeps it")
	}
	return mayReason(reason)
}

// mayReason checks a reason that may be left out.
func mayReason(reason string) error {
	if len(reason) > maxReason {
		return invalidf("reason", "is %d bytes long and must be at most %d", len(reason), maxReason)
	}
	return nil
}
