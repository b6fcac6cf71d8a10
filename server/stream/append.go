package stream

import (
	"context"
	"crypto/rand"
)

// Bounds of what an append may name, so that every key fits an index.
const (
	MaxProducerID  = 256
	MaxStreamSeq   = 256
	MaxContentType = 256
	// MaxProducerNumber bounds a producer's epoch and sequence number: what JavaScript counts exactly.
	MaxProducerNumber = 1<<53 - 1
)

// AppendRequest asks for one append.
type AppendRequest struct {
	Key
	ContentType string
	Body        []byte
	// Holder is the claim of the writer, which a main stream asks for; nil if it has none.
	Holder *Holder
	// Producer makes the append idempotent; nil for none.
	Producer *Producer
	// StreamSeq, if not empty, must be greater than that of the stream's last append that had one.
	StreamSeq string
	// Close ends the stream after this append, whose body may be empty then.
	Close bool
}

// Appended is what became of an append.
type Appended struct {
	// End is the offset of the append; of a duplicate, that of its producer's last append.
	End Offset
	// Outside means that something else than the holder's appends came to the stream since its claim: End
	// lies behind what the holder has not read, and must not be handed to it.
	Outside bool
	// Duplicate means that it had been written before.
	Duplicate bool
	// Closed means that the stream takes no more appends.
	Closed bool
	// ProducerSeq is the highest sequence number written by the producer in its epoch.
	ProducerSeq int64
}

// appendItem is a request as the batch takes it: everything that can be refused without looking at the
// stream has been, and a retry finds what the first attempt wrote.
type appendItem struct {
	Key
	mediaType string
	message   Message
	holder    Holder
	producer  Producer
	streamSeq string
	closes    bool
	key       string
}

// Append writes once, whatever the connection does, and returns when that is committed.
func (s *Service) Append(ctx context.Context, req AppendRequest) (Appended, error) {
	item, err := newItem(req)
	if err != nil {
		s.metrics.appends.WithLabelValues(outcomeInvalid).Inc()
		return Appended{}, err
	}
	return s.appends.Do(ctx, item)
}

func newItem(req AppendRequest) (appendItem, error) {
	item := appendItem{Key: req.Key, streamSeq: req.StreamSeq, closes: req.Close}
	if req.Holder != nil {
		item.holder = *req.Holder
	}
	if len(req.StreamSeq) > MaxStreamSeq {
		return item, &InvalidError{Field: "Stream-Seq", Value: clip(req.StreamSeq), Why: "it is longer than 256 bytes"}
	}
	if req.Producer == nil {
		item.key = rand.Text()
	} else {
		item.producer = *req.Producer
		if err := item.producer.check(); err != nil {
			return item, err
		}
	}
	if len(req.Body) == 0 && req.Close {
		return item, nil
	}
	var err error
	item.message, err = content(req)
	item.mediaType = mediaType(req.ContentType)
	return item, err
}

func (p Producer) check() error {
	switch {
	case p.ID == "" || len(p.ID) > MaxProducerID:
		return &InvalidError{Field: "Producer-Id", Value: clip(p.ID), Why: "it must have 1 to 256 bytes"}
	case p.Epoch < 0 || p.Epoch > MaxProducerNumber:
		return &InvalidError{Field: "Producer-Epoch", Why: "it must be a whole number from 0 to 2^53-1"}
	case p.Seq < 0 || p.Seq > MaxProducerNumber:
		return &InvalidError{Field: "Producer-Seq", Why: "it must be a whole number from 0 to 2^53-1"}
	}
	return nil
}

func content(req AppendRequest) (Message, error) {
	if len(req.Body) == 0 {
		return Message{}, &InvalidError{Field: "body", Why: "an append must not be empty"}
	}
	if err := checkContentType(req.ContentType); err != nil {
		return Message{}, err
	}
	message, err := newMessage(req.ContentType, req.Body)
	if err != nil {
		return Message{}, err
	}
	if message.Items == 0 {
		return Message{}, &InvalidError{Field: "body", Why: "an array that is appended must not be empty"}
	}
	return message, nil
}

func newMessage(contentType string, body []byte) (Message, error) {
	if IsJSON(contentType) {
		return JSONMessages(body)
	}
	return PlainMessage(body), nil
}

func checkContentType(contentType string) error {
	if contentType == "" {
		return &InvalidError{Field: "Content-Type", Why: "it is missing: send the one the stream was created with"}
	}
	if len(contentType) > MaxContentType {
		return &InvalidError{Field: "Content-Type", Value: clip(contentType), Why: "it is longer than 256 bytes"}
	}
	return nil
}
