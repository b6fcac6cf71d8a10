package stream

import "fmt"

// peek is the next byte, or 0 at the end: no token of JSON begins with 0.
func (p *jsonParser) peek() byte {
	if p.at < len(p.in) {
		return p.in[p.at]
	}
	return 0
}

func (p *jsonParser) space() {
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *jsonParser) fault(why string) error {
	if p.at >= len(p.in) {
		return &InvalidError{Field: "body", Why: "it is not valid JSON: it ends too early"}
	}
	return &InvalidError{Field: "body", Why: fmt.Sprintf("it is not valid JSON: %s at byte %d", why, p.at)}
}

func (p *jsonParser) word(w string) error {
	if end := p.at + len(w); end <= len(p.in) && string(p.in[p.at:end]) == w {
		p.at = end
		return nil
	}
	return p.fault("a value is expected")
}

// str takes a string and returns it as it stands in the text, quotes included.
func (p *jsonParser) str() ([]byte, error) {
	from := p.at
	p.at++
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case c == '"':
			p.at++
			return p.in[from:p.at], nil
		case c < ' ':
			return nil, p.fault("a control character must be escaped")
		case c == '\\':
			if err := p.escape(); err != nil {
				return nil, err
			}
		default:
			p.at++
		}
	}
	return nil, p.fault("")
}

func (p *jsonParser) escape() error {
	p.at++
	switch p.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.at++
		return nil
	case 'u':
		p.at++
		for range 4 {
			if !isHex(p.peek()) {
				return p.fault("four hexadecimal digits are expected")
			}
			p.at++
		}
		return nil
	}
	return p.fault("no such escape")
}

// number takes a number by JSON's grammar. Its value is never computed, so any size is kept exactly.
func (p *jsonParser) number() error {
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if err := p.digits(); err != nil {
		return err
	}
	if p.peek() == '.' {
		p.at++
		if err := p.digits(); err != nil {
			return err
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		return p.digits()
	}
	return nil
}

func (p *jsonParser) digits() error {
	from := p.at
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.at++
	}
	if p.at == from {
		return p.fault("a digit is expected")
	}
	return nil
}
