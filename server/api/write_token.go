package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/wakelatch/wakelatch/server/stream"
	"github.com/wakelatch/wakelatch/server/token"
)

// writeHolder is the claim whose write token for the stream the request carries. The answer is memory's or,
// for a token it has not heard of, Postgres', which is waited for when it is away: an append is sent once. The fence of
// the write itself is what makes it right.
func (a *API) writeHolder(r *http.Request, path string) (tenant string, holder stream.Holder, err error) {
	secret := claimSecret(r)
	if secret == "" {
		return "", stream.Holder{}, invalidWriteToken("none was sent")
	}
	parsed, err := token.Parse(secret)
	if err != nil {
		return "", stream.Holder{}, invalidWriteToken("it is malformed")
	}
	var held token.Claim
	err = a.options.RideOut(r.Context(), func(ctx context.Context) (err error) {
		held, err = a.options.View.Authorize(ctx, parsed.Tenant, path, secret)
		return err
	})
	if refused, ok := errors.AsType[*token.RefusedError](err); ok {
		return "", stream.Holder{}, invalidWriteToken(string(refused.Reason))
	}
	if err != nil {
		return "", stream.Holder{}, err
	}
	if !a.sameTenant(r, held.Tenant) {
		return "", stream.Holder{}, invalidWriteToken("it belongs to another tenant than the API key beside it")
	}
	lineOf(r.Context()).tenant = held.Tenant
	note(r.Context(), slog.String("consumer_id", held.Consumer), slog.Int64("epoch", held.Epoch))
	return held.Tenant, stream.Holder{Consumer: held.Consumer, Epoch: held.Epoch}, nil
}

// invalidWriteToken is every refusal of a writer. The real runner ends its wake on it, where any other
// status would make it send again.
func invalidWriteToken(why string) error {
	return &UnauthorizedError{Why: invalidWrite + ": " + why + "; stop writing, the claim is not this writer's"}
}

const invalidWrite = "Invalid write token"
