package stream

import (
	"bytes"
	"mime"
	"strings"
)

// Message is the content of one append as it is stored: what a reader gets is decided here, once, at write time.
type Message struct {
	// Body is the bytes, or a JSON append's items joined by commas.
	Body []byte
	// Marks are the places in Body where an item's headers.offset is put in on read, packed; nil for none.
	Marks []byte
	// Items counts what the append holds: 1 unless JSON.
	Items int

	json bool
}

// Size is how far the append moves the tail: its bytes, and for JSON one more for every item.
func (m Message) Size() int64 {
	if m.json && m.Items > 0 {
		return int64(len(m.Body)) + 1
	}
	return int64(len(m.Body))
}

// PlainMessage is an append to a stream that is not JSON.
func PlainMessage(body []byte) Message { return Message{Body: body, Items: 1} }

// JSONMessages reads an append to a JSON stream: one value, or an array whose elements are the items. The body must be
// one valid JSON text in UTF-8 that nests at most MaxDepth deep. Items keep their bytes, numbers included, except that
// a headers.offset sent by the client is left out: only the server says where an item is. An empty array gives
// no items.
func JSONMessages(body []byte) (Message, error) {
	p := jsonParser{in: body}
	if err := p.text(); err != nil {
		return Message{}, err
	}
	return Message{Body: p.out, Marks: p.marks, Items: p.items, json: true}, nil
}

// IsJSON tells whether a stream of this content type has items.
func IsJSON(contentType string) bool { return mediaType(contentType) == "application/json" }

// mediaType is what two content types are compared by: without parameters, in lower case.
func mediaType(contentType string) string {
	parsed, _, err := mime.ParseMediaType(contentType)
	if err == nil {
		return parsed
	}
	before, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(before))
}

// Render writes appends as a reader gets them: the bytes one after the other, or a JSON array of all items in which each
// item that states an operation or a control has the offset of its append in headers.offset.
func (p *Page) Render() []byte {
	var size int
	for _, a := range p.Appends {
		size += len(a.Body) + len(a.Marks)*len(offsetMember) + 1
	}
	var out bytes.Buffer
	out.Grow(size + 2)
	if !IsJSON(p.ContentType) {
		for _, a := range p.Appends {
			out.Write(a.Body)
		}
		return out.Bytes()
	}
	out.WriteByte('[')
	for i, a := range p.Appends {
		if i > 0 {
			out.WriteByte(',')
		}
		splice(&out, a)
	}
	out.WriteByte(']')
	return out.Bytes()
}
