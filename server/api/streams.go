package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wakelatch/wakelatch/server/stream"
)

// The Durable Streams protocol's headers.
const (
	nextOffsetHeader    = "Stream-Next-Offset"
	upToDateHeader      = "Stream-Up-To-Date"
	cursorHeader        = "Stream-Cursor"
	closedHeader        = "Stream-Closed"
	streamSeqHeader     = "Stream-Seq"
	producerIDHeader    = "Producer-Id"
	producerEpochHeader = "Producer-Epoch"
	producerSeqHeader   = "Producer-Seq"
)

// streamHandler is a handler that knows which stream is meant, whatever spelling of its path was sent.
type streamHandler func(w http.ResponseWriter, r *http.Request, path stream.Path) error

// anyStream mounts a handler for every stream.
func (a *API) anyStream(handle streamHandler) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		secure(w.Header())
		path, err := stream.ParsePath(r.PathValue(wildPath))
		switch {
		case err != nil && readsWakes(r):
			return errWakeStream
		case err != nil:
			return err
		}
		return handle(w, r, path)
	}
}

// readsWakes says whether a runner may believe that it reads its wake stream, though no runner can have this path.
func readsWakes(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.PathValue(wildPath), "runners/")
}

// ownedStream mounts a handler for the streams that belong to an entity or a runner, at their own paths.
func (a *API) ownedStream(handle streamHandler) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		secure(w.Header())
		path, err := stream.ParsePath(r.PathValue(wildPath))
		if err != nil || path.Kind() == stream.Plain {
			if readsWakes(r) {
				return errWakeStream
			}
			return errNoRoute
		}
		return handle(w, r, path)
	}
}

// secure is for browsers: what a stream holds is nobody's script, and no other site's to embed.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func (a *API) createStream(w http.ResponseWriter, r *http.Request, path stream.Path) error {
	if path.Kind() != stream.Plain {
		return stream.ErrForbidden
	}
	key, err := a.streamKey(r, path, RoleClient)
	if err != nil {
		return err
	}
	for _, header := range []string{"Stream-TTL", "Stream-Expires-At", "Stream-Forked-From"} {
		if len(r.Header.Values(header)) > 0 {
			return invalid(header, "is not supported by this version; leave it out")
		}
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	made, err := a.options.Streams.Create(r.Context(), stream.CreateRequest{
		Key: key, ContentType: createType(r), Body: body, Closed: r.Header.Get(closedHeader) == "true",
	})
	if err != nil {
		return err
	}
	h := w.Header()
	setInfo(h, made.Info)
	if !made.New {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	h.Set("Location", a.options.PublicURL.JoinPath("/v1/stream/").String()+escapePath(path))
	w.WriteHeader(http.StatusCreated)
	return nil
}

// createType is the content type of a new stream; what is none counts as not sent.
func createType(r *http.Request) string {
	sent := r.Header.Get("Content-Type")
	if before, after, ok := strings.Cut(sent, "/"); !ok || before == "" || after == "" {
		return ""
	}
	return sent
}

func escapePath(path stream.Path) string {
	segments := strings.Split(string(path), "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}

func (a *API) headStream(w http.ResponseWriter, r *http.Request, path stream.Path) error {
	key, err := a.streamKey(r, path, RoleViewer)
	if err != nil {
		return err
	}
	info, err := a.options.Streams.Head(r.Context(), key)
	if err != nil {
		return err
	}
	setInfo(w.Header(), info)
	w.Header().Set("ETag", etag(info, stream.Beginning, info.Tail, info.Closed))
	w.WriteHeader(http.StatusOK)
	return nil
}

func (a *API) deleteStream(w http.ResponseWriter, r *http.Request, path stream.Path) error {
	if path.Kind() != stream.Plain {
		return stream.ErrForbidden
	}
	key, err := a.streamKey(r, path, RoleClient)
	if err != nil {
		return err
	}
	if err := a.options.Streams.Delete(r.Context(), key); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// streamKey is the caller's stream at the path, for who has the role. A runner reads its entity's stream with the write
// token of its claim: the token names the tenant, and a key that may stand beside it is not needed. The wakes of a runner
// are its owner's to read.
func (a *API) streamKey(r *http.Request, path stream.Path, need Role) (stream.Key, error) {
	if path.Kind() == stream.Main && claimSecret(r) != "" {
		if tenant, _, refused := a.writeHolder(r, string(path)); refused == nil {
			return stream.Key{Tenant: tenant, Path: path}, nil
		}
	}
	if path.Kind() == stream.Wake {
		need = RoleRunner
	}
	who, err := a.allowed(r, need)
	if err != nil {
		return stream.Key{}, err
	}
	if path.Kind() == stream.Wake && !who.Allows(RoleAdmin) {
		if err := a.owns(r.Context(), who, path.RunnerID()); err != nil {
			return stream.Key{}, err
		}
	}
	return stream.Key{Tenant: who.Tenant, Path: path}, nil
}

// owns says whether the runner is the caller's.
func (a *API) owns(ctx context.Context, who Identity, id string) error {
	found, err := a.options.Runners.Get(ctx, who.Tenant, id)
	if err != nil {
		return err
	}
	if found.OwnerPrincipal != who.Principal.URL() {
		return errNotOwner
	}
	return nil
}

func setInfo(h http.Header, info stream.Info) {
	h.Set("Content-Type", info.ContentType)
	h.Set(nextOffsetHeader, info.Tail.String())
	if info.Closed {
		h.Set(closedHeader, "true")
	}
}

// etag names what was returned: from where to where, of which stream, and whether it ends there.
func etag(info stream.Info, from, to stream.Offset, closed bool) string {
	tag := strconv.FormatInt(info.Generation, 36) + "." + from.String() + "." + to.String()
	if closed {
		tag += ".closed"
	}
	return `"` + tag + `"`
}
