package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// DuplicateError is a field that is given more than once.
type DuplicateError struct{ Field string }

// Error names the field.
func (e *DuplicateError) Error() string { return e.Field + " is given more than once" }

// Unmarshal decodes a text into what a pointer points at. Its errors are those of encoding/json and *DuplicateError.
func Unmarshal(text []byte, into any) error {
	if json.Valid(text) {
		known, err := keepKnown(text, reflect.TypeOf(into), "")
		if err != nil {
			return err
		}
		text = known
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// keepKnown is a valid text without the members of objects that the type has no field for.
func keepKnown(text []byte, t reflect.Type, path string) ([]byte, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	first := text[space(text, 0)]
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return text, nil
	case t.Kind() == reflect.Struct && first == '{':
		return keepMembers(text, t, path)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && first == '[':
		return keepElements(text, t.Elem(), path)
	}
	return text, nil
}

func keepMembers(text []byte, t reflect.Type, path string) ([]byte, error) {
	out := append(make([]byte, 0, len(text)), '{')
	var seen uint64
	for at := space(text, space(text, 0)+1); text[at] != '}'; {
		name, behind := key(text, at)
		from := space(text, space(text, behind)+1)
		to := value(text, from)
		at = next(text, to)
		field := fieldOf(t, name)
		if field < 0 {
			continue
		}
		if seen&(1<<field) != 0 {
			return nil, &DuplicateError{Field: path + name}
		}
		kept, err := keepKnown(text[from:to], t.Field(field).Type, path+name+".")
		if err != nil {
			return nil, err
		}
		if seen != 0 {
			out = append(out, ',')
		}
		seen |= 1 << field
		out = append(append(append(out, '"'), name...), `":`...)
		out = append(out, kept...)
	}
	return append(out, '}'), nil
}

func keepElements(text []byte, t reflect.Type, path string) ([]byte, error) {
	out := append(make([]byte, 0, len(text)), '[')
	for at := space(text, space(text, 0)+1); text[at] != ']'; {
		to := value(text, at)
		kept, err := keepKnown(text[at:to], t, path)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, kept...)
		at = next(text, to)
	}
	return append(out, ']'), nil
}

// fieldOf is the index of the field whose name on the wire this is, -1 if there is none. Such names need no escape, and
// no type has more fields than a word has bits.
func fieldOf(t reflect.Type, name string) int {
	for i := range min(t.NumField(), 64) {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag == name && tag != "" && tag != "-" {
			return i
		}
	}
	return -1
}

// The functions below step through a valid text.

// space is the first place from i that is no white space.
func space(text []byte, i int) int {
	for text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r' {
		i++
	}
	return i
}

// next is where the value behind the one that ends at i begins, or the bracket that closes them.
func next(text []byte, i int) int {
	if i = space(text, i); text[i] == ',' {
		i = space(text, i+1)
	}
	return i
}

// key is the name that begins at i, and where its colon or the space before that is.
func key(text []byte, i int) (name string, end int) {
	end = quoted(text, i)
	if bytes.IndexByte(text[i:end], '\\') < 0 {
		return string(text[i+1 : end-1]), end
	}
	if json.Unmarshal(text[i:end], &name) != nil {
		name = ""
	}
	return name, end
}

// quoted is behind the string that begins at i.
func quoted(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// value is behind the value that begins at i.
func value(text []byte, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = quoted(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}
