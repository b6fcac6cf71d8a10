package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/wakelatch/wakelatch/server/stream"
)

// appendStream writes to a stream. Of an entity's stream the token is judged before anything else is looked at, so that a
// writer whose claim is over sees a 401 whatever it sends.
func (a *API) appendStream(w http.ResponseWriter, r *http.Request, path stream.Path) error {
	req := stream.AppendRequest{Key: stream.Key{Path: path}}
	switch path.Kind() {
	case stream.Wake:
		return stream.ErrForbidden
	case stream.Main:
		tenant, holder, err := a.writeHolder(r, string(path))
		if err != nil {
			return err
		}
		req.Tenant, req.Holder = tenant, &holder
	case stream.Plain:
		key, err := a.streamKey(r, path, RoleClient)
		if err != nil {
			return err
		}
		req.Key = key
	}
	if err := readAppend(r, &req); err != nil {
		return err
	}
	done, err := a.options.Streams.Append(r.Context(), req)
	if errors.Is(err, stream.ErrFenced) && req.Holder != nil {
		a.options.View.Fenced(req.Tenant, string(path), req.Holder.Epoch)
	}
	if err != nil {
		return err
	}
	tellAppended(w, req, done)
	return nil
}

func readAppend(r *http.Request, req *stream.AppendRequest) error {
	producer, err := producerOf(r.Header)
	if err != nil {
		return err
	}
	req.Producer = producer
	req.ContentType = r.Header.Get("Content-Type")
	req.StreamSeq = r.Header.Get(streamSeqHeader)
	req.Close = r.Header.Get(closedHeader) == "true"
	req.Body, err = readBody(r)
	return err
}

// tellAppended leaves the offset out when the holder would take it for an acknowledgement of what it has not read.
func tellAppended(w http.ResponseWriter, req stream.AppendRequest, done stream.Appended) {
	h := w.Header()
	if req.Holder == nil || !done.Outside {
		h.Set(nextOffsetHeader, done.End.String())
	}
	if done.Closed {
		h.Set(closedHeader, "true")
	}
	if req.Producer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set(producerEpochHeader, strconv.FormatInt(req.Producer.Epoch, 10))
	h.Set(producerSeqHeader, strconv.FormatInt(done.ProducerSeq, 10))
	if done.Duplicate || len(req.Body) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// producerOf reads the three headers of an idempotent producer: all of them or none.
func producerOf(h http.Header) (*stream.Producer, error) {
	sent := 0
	for _, name := range []string{producerIDHeader, producerEpochHeader, producerSeqHeader} {
		if len(h.Values(name)) > 0 {
			sent++
		}
	}
	if sent == 0 {
		return nil, nil //nolint:nilnil // no producer is an answer
	}
	if sent < 3 {
		return nil, invalid(producerIDHeader, "must come with Producer-Epoch and Producer-Seq: send all three or none")
	}
	epoch, err := producerNumber(h, producerEpochHeader)
	if err != nil {
		return nil, err
	}
	seq, err := producerNumber(h, producerSeqHeader)
	if err != nil {
		return nil, err
	}
	return &stream.Producer{ID: h.Get(producerIDHeader), Epoch: epoch, Seq: seq}, nil
}

func producerNumber(h http.Header, name string) (int64, error) {
	text := h.Get(name)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > stream.MaxProducerNumber || text[0] == '+' {
		return 0, invalid(name, "must be a whole number from 0 to 2^53-1, in digits")
	}
	return int64(n), nil
}
