package api

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/entitytype"
	"github.com/wakelatch/wakelatch/server/inspect"
	"github.com/wakelatch/wakelatch/server/runner"
	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/server/token"
)

const (
	codeGap      = "PRODUCER_GAP"
	codeStale    = "PRODUCER_STALE"
	codeNotFound = "NOT_FOUND"
	codeInvalid  = "INVALID_REQUEST"

	codeForbidden    = "FORBIDDEN"
	codeUnauthorized = "UNAUTHORIZED"
)

// table is every failure that has a place on the wire, the narrow ones first. What is not in it is a
// 503 if the database is away, else a 500 that says nothing about its cause.
func table() []row {
	return []row{
		is("api.errWakeStream", errWakeStream, http.StatusServiceUnavailable, "WAKE_STREAM_UNAVAILABLE", again("5")),
		is("api.errNoRoute", errNoRoute, http.StatusNotFound, codeNotFound),
		is("api.errMethod", errMethod, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"),
		is("api.errSlowBody", errSlowBody, http.StatusRequestTimeout, "REQUEST_TIMEOUT", func(r *row) {
			r.header = func(h http.Header, _ error) { h.Set("Connection", "close") }
		}),
		is("api.errDraining", errDraining, http.StatusServiceUnavailable, "DRAINING", again("1")),
		is("api.errEpochMismatch", errEpochMismatch, http.StatusConflict, "EPOCH_MISMATCH"),
		is("api.errNotOwner", errNotOwner, http.StatusForbidden, codeForbidden),
		as[*UnauthorizedError]("api.UnauthorizedError", http.StatusUnauthorized, codeUnauthorized, prove()),
		as[*ForbiddenError]("api.ForbiddenError", http.StatusForbidden, codeForbidden, func(r *row) {
			r.code = func(err error) string {
				forbidden, _ := errors.AsType[*ForbiddenError](err)
				return forbidden.Code
			}
		}),
		as[*InvalidError]("api.InvalidError", http.StatusBadRequest, codeInvalid, field(func(e *InvalidError) string { return e.Field })),
		as[*TooLargeError]("api.TooLargeError", http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE"),
		as[*MediaTypeError]("api.MediaTypeError", http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"),

		is("apikey.ErrUnknown", apikey.ErrUnknown, http.StatusUnauthorized, codeUnauthorized, prove()),
		is("apikey.ErrRevoked", apikey.ErrRevoked, http.StatusUnauthorized, codeUnauthorized, prove()),
		is("apikey.ErrExpired", apikey.ErrExpired, http.StatusUnauthorized, codeUnauthorized, prove()),
		as[*apikey.LimitedError]("apikey.LimitedError", http.StatusTooManyRequests, "RATE_LIMITED", send(func(h http.Header, e *apikey.LimitedError) {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(e.After.Seconds(), 1)))))
		})),
		is("apikey.ErrBusy", apikey.ErrBusy, http.StatusServiceUnavailable, "UNAVAILABLE", again("1")),
		// Keys are made, listed and revoked from the command line.
		is("apikey.ErrNotFound", apikey.ErrNotFound, http.StatusNotFound, codeNotFound),
		as[*apikey.InvalidError]("apikey.InvalidError", http.StatusBadRequest, codeInvalid, field(func(e *apikey.InvalidError) string { return e.Field })),

		is("claim.ErrForeignRunner", claim.ErrForeignRunner, http.StatusForbidden, codeForbidden),
		is("claim.ErrAlreadyClaimed", claim.ErrAlreadyClaimed, http.StatusConflict, "ALREADY_CLAIMED"),
		is("claim.ErrNoPendingWork", claim.ErrNoPendingWork, http.StatusConflict, "NO_PENDING_WORK"),
		is("claim.ErrAlreadyConfirmed", claim.ErrAlreadyConfirmed, http.StatusConflict, "ALREADY_CONFIRMED"),
		is("claim.ErrUnknownClaim", claim.ErrUnknownClaim, http.StatusNotFound, codeNotFound),
		as[*claim.LostError]("claim.LostError", http.StatusConflict, "CLAIM_LOST", tell(lostDetails)),
		is("claim.ErrForeignToken", claim.ErrForeignToken, http.StatusUnauthorized, codeUnauthorized, prove()),
		is("claim.ErrClaimLost", claim.ErrClaimLost, http.StatusConflict, "CLAIM_LOST"),
		// The claim handler answers these two itself, with 204 and 200.
		is("claim.ErrNothingForYou", claim.ErrNothingForYou, http.StatusNotFound, codeNotFound),
		is("claim.ErrNotAwake", claim.ErrNotAwake, http.StatusConflict, "NOT_RUNNING"),

		is("entity.ErrNotFound", entity.ErrNotFound, http.StatusNotFound, codeNotFound),
		is("entity.ErrUnknownType", entity.ErrUnknownType, http.StatusNotFound, "UNKNOWN_ENTITY_TYPE"),
		is("entity.ErrUnknownRunner", entity.ErrUnknownRunner, http.StatusBadRequest, "UNKNOWN_RUNNER"),
		is("entity.ErrFenced", entity.ErrFenced, http.StatusUnauthorized, codeUnauthorized, prove(), say(invalidWrite+": its claim is over")),
		// The entity handler answers this one itself, with 204.
		is("entity.ErrTimeout", entity.ErrTimeout, http.StatusServiceUnavailable, "UNAVAILABLE", again("1")),
		as[*entity.NotRunningError]("entity.NotRunningError", http.StatusConflict, "NOT_RUNNING", tell(func(e *entity.NotRunningError) map[string]any {
			return map[string]any{"status": e.Status}
		})),
		is("entity.ErrNotRunning", entity.ErrNotRunning, http.StatusConflict, "NOT_RUNNING"),
		as[*entity.ExistsError]("entity.ExistsError", http.StatusConflict, "ENTITY_EXISTS", tell(func(e *entity.ExistsError) map[string]any {
			return map[string]any{"entity": e.Entity}
		})),
		is("entity.ErrExists", entity.ErrExists, http.StatusConflict, "ENTITY_EXISTS"),
		as[*entity.InvalidError]("entity.InvalidError", http.StatusBadRequest, codeInvalid, field(func(e *entity.InvalidError) string { return e.Field })),

		is("entitytype.ErrNotFound", entitytype.ErrNotFound, http.StatusNotFound, codeNotFound),
		as[*entitytype.InvalidError]("entitytype.InvalidError", http.StatusBadRequest, codeInvalid, field(func(e *entitytype.InvalidError) string { return e.Field })),

		is("inspect.ErrNotFound", inspect.ErrNotFound, http.StatusNotFound, codeNotFound),
		as[*inspect.InvalidError]("inspect.InvalidError", http.StatusBadRequest, codeInvalid, field(func(e *inspect.InvalidError) string { return e.Field })),

		is("runner.ErrNotFound", runner.ErrNotFound, http.StatusNotFound, codeNotFound),
		is("runner.ErrDisabled", runner.ErrDisabled, http.StatusConflict, "RUNNER_DISABLED"),
		is("runner.ErrForeign", runner.ErrForeign, http.StatusForbidden, codeForbidden),
		as[*runner.InvalidError]("runner.InvalidError", http.StatusBadRequest, codeInvalid, field(func(e *runner.InvalidError) string { return e.Field })),

		is("stream.ErrNotFound", stream.ErrNotFound, http.StatusNotFound, codeNotFound),
		is("stream.ErrExists", stream.ErrExists, http.StatusConflict, "STREAM_EXISTS"),
		is("stream.ErrFenced", stream.ErrFenced, http.StatusUnauthorized, codeUnauthorized, prove(), say(invalidWrite+": its claim is over")),
		is("stream.ErrForbidden", stream.ErrForbidden, http.StatusForbidden, codeForbidden),
		is("stream.ErrContentTypeMismatch", stream.ErrContentTypeMismatch, http.StatusConflict, "CONTENT_TYPE_MISMATCH"),
		is("stream.ErrStreamSeq", stream.ErrStreamSeq, http.StatusConflict, "STREAM_SEQ_CONFLICT"),
		as[*stream.ClosedError]("stream.ClosedError", http.StatusConflict, "STREAM_CLOSED", send(func(h http.Header, e *stream.ClosedError) {
			h.Set("Stream-Closed", "true")
			h.Set("Stream-Next-Offset", e.Tail.String())
		})),
		as[*stream.ProducerGapError]("stream.ProducerGapError", http.StatusConflict, codeGap, send(func(h http.Header, e *stream.ProducerGapError) {
			h.Set(expectedSeqHeader, strconv.FormatInt(e.Expected, 10))
			h.Set(receivedSeqHeader, strconv.FormatInt(e.Received, 10))
		})),
		as[*stream.ProducerStaleError]("stream.ProducerStaleError", http.StatusForbidden, codeStale, send(func(h http.Header, e *stream.ProducerStaleError) {
			h.Set("Producer-Epoch", strconv.FormatInt(e.Epoch, 10))
		})),
		as[*stream.InvalidError]("stream.InvalidError", http.StatusBadRequest, codeInvalid, field(func(e *stream.InvalidError) string { return e.Field })),

		as[*token.RefusedError]("token.RefusedError", http.StatusUnauthorized, codeUnauthorized, prove(), say(invalidWrite+": it is not the stream's current one")),
		is("token.ErrRefused", token.ErrRefused, http.StatusUnauthorized, codeUnauthorized, prove(), say(invalidWrite+": it is not the stream's current one")),

		is("batch.ErrStopped", batch.ErrStopped, http.StatusServiceUnavailable, "DRAINING", say(stopping), again("1")),
		// stream.ErrUnavailable is this error too.
		is("batch.ErrUnavailable", batch.ErrUnavailable, http.StatusServiceUnavailable, "UNAVAILABLE", say(away), again("1")),
	}
}

// lostDetails say how a claim ended and, if the operation looked, what came after it.
func lostDetails(e *claim.LostError) map[string]any {
	details := map[string]any{"status": e.Status, "reason": cmp.Or(e.Cause, e.Status)}
	if e.CurrentEpoch > 0 {
		details["current_epoch"] = e.CurrentEpoch
	}
	if e.LeaseRemaining != nil {
		details["lease_remaining_ms"] = e.LeaseRemaining.Milliseconds()
	}
	return details
}
