package token

import "errors"

// ErrRefused is what every refusal of a token is, whatever its reason. An
// error that is not ErrRefused means that the question could not be answered.
var ErrRefused = errors.New("token refused")

// Reason says why a token was refused. It is for logs and error details, not
// for the decision, which is the same for all of them.
type Reason string

// The reasons for which a token is refused.
const (
	Malformed Reason = "malformed"   // it is not a token
	WrongKind Reason = "wrong kind"  // a claim token where a write token belongs, or the reverse
	Forged    Reason = "forged"      // no key of the ring made it for this stream
	Foreign   Reason = "foreign"     // it belongs to another tenant
	Over      Reason = "epoch over"  // its claim was released, sealed or replaced
	NotHolder Reason = "not current" // another claim holds the stream, or none does
)

// RefusedError is a refusal and its reason. It is an [ErrRefused].
type RefusedError struct {
	Reason Reason
}

// Error names the reason. It never contains the token.
func (e *RefusedError) Error() string {
	return "token refused: " + string(e.Reason)
}

// Is makes every RefusedError an ErrRefused.
func (e *RefusedError) Is(target error) bool {
	return target == ErrRefused
}

func refused(r Reason) error {
	return &RefusedError{Reason: r}
}
