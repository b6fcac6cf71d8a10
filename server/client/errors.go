package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

var (
	// ErrClaimLost is the cause of a handler's cancelled context, and of its failing appends, when the
	// claim of its wake is over.
	ErrClaimLost = errors.New("the claim of this wake is over")
	// ErrStopping is the cause of a handler's cancelled context when the runner stops and the drain timeout
	// has passed.
	ErrStopping = errors.New("the runner stops, and its drain timeout has passed")
	// ErrHandBack is what a handler returns, wrapped with why, to give its wake to another claim: nothing is
	// acknowledged, and nothing failed. The next claim may be this runner's own, at once; one handed back again
	// right after waits first.
	ErrHandBack = errors.New("the wake is handed back")
	// ErrCutShort is what Run returns when handlers were still at work after the drain timeout.
	ErrCutShort = errors.New("the drain timeout passed before every wake was finished; what was cut short is tried again by the next claim")
)

// Error is a refusal by a node.
type Error struct {
	Method string
	Path   string
	Status int
	// Code is for programs, such as ENTITY_EXISTS. Empty if it was no node that answered.
	Code string
	// Message says what was wrong and what to do.
	Message string

	retryAfter time.Duration
}

// Error is the request, the status and what the node said.
func (e *Error) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("%s %s: status %d", e.Method, e.Path, e.Status)
	}
	return fmt.Sprintf("%s %s: status %d %s: %s", e.Method, e.Path, e.Status, e.Code, e.Message)
}

// readError is the refusal in an answer.
func readError(r *http.Request, status int, header http.Header, body []byte) *Error {
	e := &Error{Method: r.Method, Path: r.URL.Path, Status: status}
	var said struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	// What is not ours, such as a balancer's page, has no code.
	if json.Unmarshal(body, &said) == nil {
		e.Code, e.Message = said.Error.Code, said.Error.Message
	}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		e.retryAfter = min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	return e
}

// temporary says whether the same request may be answered otherwise later. No answer at all is temporary too.
func temporary(err error) bool {
	refused, ok := errors.AsType[*Error](err)
	if !ok {
		return true
	}
	return refused.Status >= 500 || refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusRequestTimeout
}

func hasCode(err error, code string) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Code == code
}

func hasStatus(err error, status int) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Status == status
}

// isLoss says whether the refusal of a request that carried one of the claim's tokens means that the claim
// is over.
func isLoss(err error) bool {
	return hasCode(err, "CLAIM_LOST") || hasStatus(err, http.StatusUnauthorized)
}
