package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/stream"
)

type tagBody struct {
	Value *string `json:"value"`
}

func (a *API) setTag(w http.ResponseWriter, r *http.Request) error {
	return a.writeTag(w, r, func(ctx context.Context, t entity.TagRequest) (entity.Entity, string, error) {
		body, err := readJSON[tagBody](r)
		if err != nil {
			return entity.Entity{}, "", err
		}
		if body.Value == nil {
			return entity.Entity{}, "", invalid("value", "is missing: send the text of the tag")
		}
		t.Value = *body.Value
		return a.options.Entities.SetTag(ctx, t)
	})
}

func (a *API) deleteTag(w http.ResponseWriter, r *http.Request) error {
	return a.writeTag(w, r, a.options.Entities.DeleteTag)
}

// writeTag judges the write token before it reads anything else of the request: a writer whose claim is
// over sees 401 and nothing besides. Without a token it is the caller who must be allowed to.
func (a *API) writeTag(w http.ResponseWriter, r *http.Request,
	write func(context.Context, entity.TagRequest) (entity.Entity, string, error),
) error {
	url, err := entityURL(r)
	if err != nil {
		return err
	}
	path := claim.MainStream(url)
	tenant, holder, err := a.writer(r, path)
	if err != nil {
		return err
	}
	note(r.Context(), slog.String("entity_url", url))
	changed, txid, err := write(r.Context(), entity.TagRequest{
		Tenant: tenant, EntityURL: url, Key: r.PathValue("key"), Holder: holder,
	})
	if errors.Is(err, entity.ErrFenced) && holder != nil {
		a.options.View.Fenced(tenant, path, holder.Epoch)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, changedEntity{changed, txid})
}

// writer is who writes to what belongs to an entity: the holder of its claim, by the write token that the
// request carries, or without a token a caller who may act as a client.
func (a *API) writer(r *http.Request, path string) (tenant string, holder *stream.Holder, err error) {
	if claimSecret(r) == "" {
		who, err := a.allowed(r, RoleClient)
		if err != nil {
			return "", nil, err
		}
		return who.Tenant, nil, nil
	}
	tenant, held, err := a.writeHolder(r, path)
	if err != nil {
		return "", nil, err
	}
	return tenant, &held, nil
}
