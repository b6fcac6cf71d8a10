package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wakelatch/wakelatch/server/stream"
)

// maxEventStream is how long one answer of server-sent events lasts; its reader comes again with the last offset
// it was told.
const maxEventStream = time.Minute

// control is what follows every data event, and what an idle reader gets now and then.
type control struct {
	NextOffset string `json:"streamNextOffset"`
	Cursor     string `json:"streamCursor,omitempty"`
	UpToDate   bool   `json:"upToDate,omitempty"`
	Closed     bool   `json:"streamClosed,omitempty"`
}

// followStream answers with server-sent events: what is there, and then what comes, until the stream is closed, the
// time is up, or either side ends the connection. A failure on the way ends the answer where it is whole.
func (a *API) followStream(w http.ResponseWriter, r *http.Request, req stream.ReadRequest) error {
	req.Live = false
	page, err := a.options.Streams.Read(r.Context(), req)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("X-Accel-Buffering", "no")
	if !isText(page.ContentType) {
		h.Set("Stream-SSE-Data-Encoding", "base64")
	}
	w.WriteHeader(http.StatusOK)

	cursor := r.URL.Query().Get("cursor")
	flush := http.NewResponseController(w)
	for end := time.Now().Add(maxEventStream); ; {
		if _, err := w.Write(events(page, &cursor)); err != nil {
			return fmt.Errorf("send events: %w", err)
		}
		if err := flush.Flush(); err != nil {
			return fmt.Errorf("send events: %w", err)
		}
		if page.Closed && page.UpToDate || r.Context().Err() != nil || time.Now().After(end) {
			return nil //nolint:nilerr // a reader or a node that leaves is no failure
		}
		req.From, req.Live = page.Next, true
		if page, err = a.options.Streams.Read(r.Context(), req); err == nil {
			err = a.still(r)
		}
		if err != nil {
			lineOf(r.Context()).err = err
			return nil //nolint:nilerr // the answer has begun, so the failure is for the log alone
		}
	}
}

// isText says whether the stream's bytes can stand in an event as they are.
func isText(contentType string) bool {
	return stream.IsJSON(contentType) || strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "text/")
}

// events writes a page: its data, if it has any, and a control event. The cursor moves on with each.
func events(page *stream.Page, cursor *string) []byte {
	var out bytes.Buffer
	if len(page.Appends) > 0 {
		data := page.Render()
		if !isText(page.ContentType) {
			data = base64.StdEncoding.AppendEncode(nil, data)
		}
		event(&out, "data", data)
	}
	c := control{NextOffset: page.Next.String()}
	if page.Closed && page.UpToDate {
		c.Closed = true
	} else {
		*cursor = stream.Cursor(*cursor, time.Now())
		c.Cursor, c.UpToDate = *cursor, page.UpToDate
	}
	text, _ := json.Marshal(c) //nolint:errchkjson // texts and booleans
	event(&out, "control", text)
	return out.Bytes()
}

// event writes one event. Every kind of line break in the data begins a new line of the event, so that no data can
// pretend to be an event of its own.
func event(out *bytes.Buffer, name string, data []byte) {
	out.WriteString("event: " + name + "\n")
	for {
		at := bytes.IndexAny(data, "\r\n")
		if at < 0 {
			break
		}
		out.WriteString("data:")
		out.Write(data[:at])
		out.WriteByte('\n')
		if data[at] == '\r' && at+1 < len(data) && data[at+1] == '\n' {
			at++
		}
		data = data[at+1:]
	}
	out.WriteString("data:")
	out.Write(data)
	out.WriteString("\n\n")
}
