package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/wakelatch/wakelatch/server/stream"
)

// errWakeStream is every failure to read a wake stream. Its reader repeats a 4xx at once and for ever, so it is told to
// come back later, whatever is wrong.
// The cause is in the log line and not in the error, which must not be taken for its cause.
var errWakeStream = errors.New("the wake stream cannot be read now; come back later")

// The ways to wait for news.
const (
	livePoll   = "long-poll"
	liveEvents = "sse"
)

// readStream answers a catch-up read, a long-poll or with server-sent events.
func (a *API) readStream(w http.ResponseWriter, r *http.Request, path stream.Path) error {
	err := a.readAny(w, r, path)
	if err != nil && path.Kind() == stream.Wake {
		note(r.Context(), slog.Any("cause", err))
		return errWakeStream
	}
	return err
}

func (a *API) readAny(w http.ResponseWriter, r *http.Request, path stream.Path) error {
	key, err := a.streamKey(r, path, RoleViewer)
	if err != nil {
		return err
	}
	if err := a.beforeRead(r, key); err != nil {
		return err
	}
	req, err := readRequest(r, key)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("live") == liveEvents {
		return a.followStream(w, r, req)
	}
	page, err := a.options.Streams.Read(r.Context(), req)
	if err == nil && req.Live {
		err = a.still(r)
	}
	if err != nil {
		return err
	}
	return writePage(w, r, req, page)
}

// beforeRead asks the owner of the stream. A holder that reads shows that it is alive, until its first heartbeat does; if
// that cannot be noted the read goes on.
func (a *API) beforeRead(r *http.Request, key stream.Key) error {
	switch key.Path.Kind() {
	case stream.Wake:
		return a.options.Runners.WakeAccess(r.Context(), key.Tenant, key.Path.RunnerID())
	case stream.Main:
		runner := r.Header.Get(runnerIDHeader)
		if runner == "" {
			return nil
		}
		if err := a.options.Claims.RenewOnRead(r.Context(), key.Tenant, string(key.Path), runner); err != nil {
			note(r.Context(), slog.Any("renew_error", err))
		}
	case stream.Plain:
	}
	return nil
}

func readRequest(r *http.Request, key stream.Key) (stream.ReadRequest, error) {
	req := stream.ReadRequest{Key: key, From: stream.Beginning}
	query := r.URL.Query()
	offsets, sent := query["offset"]
	if len(offsets) > 1 {
		return req, invalid("offset", "was sent more than once")
	}
	if sent {
		var err error
		if req.From, err = stream.ParseOffset(offsets[0]); err != nil {
			return req, err
		}
	}
	switch live := query.Get("live"); live {
	case "":
	case livePoll, liveEvents:
		req.Live = true
		if !sent {
			return req, invalid("offset", "is missing: a live read begins at an offset")
		}
	default:
		return req, invalidf("live", "must be long-poll or sse, not %q", strings.ToValidUTF8(live[:min(len(live), 32)], ""))
	}
	return req, nil
}

func writePage(w http.ResponseWriter, r *http.Request, req stream.ReadRequest, page *stream.Page) error {
	h := w.Header()
	h.Set(nextOffsetHeader, page.Next.String())
	if page.UpToDate {
		h.Set(upToDateHeader, "true")
	}
	ended := page.Closed && page.UpToDate
	if ended {
		h.Set(closedHeader, "true")
	}
	if req.Live {
		h.Set(cursorHeader, stream.Cursor(r.URL.Query().Get("cursor"), time.Now()))
		if len(page.Appends) == 0 {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
	}
	if req.From != stream.Now {
		tag := etag(page.Info, req.From, page.Next, ended)
		h.Set("ETag", tag)
		// A cache may keep the answer for its own reader, and must ask whether more has come.
		h.Set("Cache-Control", "private, no-cache")
		if matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	h.Set("Content-Type", page.ContentType)
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(page.Render()); err != nil { //nolint:gosec // a stream is what its writers sent; nosniff keeps it from being a page
		return fmt.Errorf("send answer: %w", err)
	}
	return nil
}

func matches(sent, tag string) bool {
	for one := range strings.SplitSeq(sent, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			return true
		}
	}
	return false
}
