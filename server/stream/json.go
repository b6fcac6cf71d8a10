package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// MaxDepth bounds how deep a JSON append may nest.
const MaxDepth = 512

// jsonParser validates a JSON text and gathers its items, in one pass and without building values. Its recursion is
// bounded by MaxDepth.
type jsonParser struct {
	in    []byte
	at    int
	key   int // where the key of the member being taken begins
	depth int

	out      []byte
	items    int
	marks    []byte
	lastMark int
}

func (p *jsonParser) text() error {
	if !utf8.Valid(p.in) {
		return &InvalidError{Field: "body", Why: "JSON must be UTF-8"}
	}
	p.space()
	var err error
	if p.peek() == '[' {
		err = p.elements(p.item)
	} else {
		err = p.item()
	}
	if err != nil {
		return err
	}
	p.space()
	if p.at < len(p.in) {
		return p.fault("nothing may follow the value")
	}
	return nil
}

// item takes one value and keeps it. Only an object can have headers, and only those of the item itself count.
func (p *jsonParser) item() error {
	if p.items > 0 {
		p.out = append(p.out, ',')
	}
	p.items++
	from := p.at
	if p.peek() != '{' {
		if err := p.value(); err != nil {
			return err
		}
		p.out = append(p.out, p.in[from:p.at]...)
		return nil
	}
	err := p.members(func(key []byte) error {
		if p.peek() != '{' || !isKey(key, "headers") {
			return p.value()
		}
		p.out = append(p.out, p.in[from:p.at]...)
		if err := p.headers(); err != nil {
			return err
		}
		from = p.at
		return nil
	})
	p.out = append(p.out, p.in[from:p.at]...)
	return err
}

// headers takes an item's headers and keeps them without "offset". An item may repeat "headers"; readers differ in which
// one counts, so each is treated alike.
func (p *jsonParser) headers() error {
	from, marked, dropped := p.at, false, false
	type span struct{ from, to int }
	var kept []span
	err := p.members(func(key []byte) error {
		start := p.key
		if err := p.value(); err != nil {
			return err
		}
		if isKey(key, "offset") {
			dropped = true
			return nil
		}
		kept = append(kept, span{start, p.at})
		marked = marked || isKey(key, "operation") || isKey(key, "control")
		return nil
	})
	if err != nil {
		return err
	}
	if marked {
		brace := len(p.out) + 1
		p.marks = appendMark(p.marks, p.lastMark, brace)
		p.lastMark = brace
	}
	if !dropped {
		p.out = append(p.out, p.in[from:p.at]...)
		return nil
	}
	p.out = append(p.out, '{')
	for i, k := range kept {
		if i > 0 {
			p.out = append(p.out, ',')
		}
		p.out = append(p.out, p.in[k.from:k.to]...)
	}
	p.out = append(p.out, '}')
	return nil
}

// isKey compares a key as it stands in the text, quotes included, with a name: an escaped spelling is the same key.
func isKey(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var key string
		return json.Unmarshal(quoted, &key) == nil && key == name
	}
	return string(quoted[1:len(quoted)-1]) == name
}

func (p *jsonParser) value() error {
	switch c := p.peek(); {
	case c == '{':
		return p.members(func([]byte) error { return p.value() })
	case c == '[':
		return p.elements(p.value)
	case c == '"':
		_, err := p.str()
		return err
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == 't':
		return p.word("true")
	case c == 'f':
		return p.word("false")
	case c == 'n':
		return p.word("null")
	}
	return p.fault("a value is expected")
}

// members takes an object. It calls take at the first byte of each value, and take must take that value.
func (p *jsonParser) members(take func(key []byte) error) error {
	return p.list('}', func() error {
		if p.peek() != '"' {
			return p.fault("a key in quotes is expected")
		}
		start := p.at
		key, err := p.str()
		if err != nil {
			return err
		}
		p.space()
		if p.peek() != ':' {
			return p.fault("a colon is expected")
		}
		p.at++
		p.space()
		p.key = start
		return take(key)
	})
}

// elements takes an array. It calls take at the first byte of each element, and take must take it.
func (p *jsonParser) elements(take func() error) error { return p.list(']', take) }

func (p *jsonParser) list(end byte, take func() error) error {
	if p.depth++; p.depth > MaxDepth {
		return &InvalidError{Field: "body", Why: fmt.Sprintf("JSON must not nest deeper than %d", MaxDepth)}
	}
	p.at++
	p.space()
	if p.peek() == end {
		p.at++
		p.depth--
		return nil
	}
	for {
		if err := take(); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case end:
			p.at++
			p.depth--
			return nil
		case ',':
			p.at++
			p.space()
		default:
			return p.fault(fmt.Sprintf("a comma or %q is expected", end))
		}
	}
}
