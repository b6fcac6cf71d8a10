package openapitest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// Document is docs/openapi.yaml, read and valid.
type Document struct {
	spec *openapi3.T
	// The paths in the order in which they are tried: those with fewer variables first.
	templates []template
}

type template struct {
	text     string
	segments []string
	item     *openapi3.PathItem
}

// wholeRest are the variables that take the rest of a path, slashes included. OpenAPI has no way to say so.
var wholeRest = map[string]bool{"/v1/stream/{path}": true}

// Load reads the document. It is found from the working directory upwards, beside go.mod.
func Load() (*Document, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	spec, err := loader.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if err := spec.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("%s is no valid OpenAPI document: %w", path, err)
	}
	d := &Document{spec: spec}
	for text, item := range spec.Paths.Map() {
		d.templates = append(d.templates, template{text: text, segments: split(text), item: item})
	}
	slices.SortFunc(d.templates, func(a, b template) int {
		if n := strings.Count(a.text, "{") - strings.Count(b.text, "{"); n != 0 {
			return n
		}
		return strings.Compare(a.text, b.text)
	})
	return d, nil
}

// once reads the document once a test binary: it is the same for every test.
var once = sync.OnceValues(Load)

func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for the document: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "docs", "openapi.yaml"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("there is no go.mod above the working directory: run the test inside the module")
		}
		dir = parent
	}
}

// Routes are the document's operations as "METHOD path", sorted.
func (d *Document) Routes() []string {
	var routes []string
	for _, t := range d.templates {
		for method := range t.item.Operations() {
			routes = append(routes, method+" "+t.text)
		}
	}
	slices.Sort(routes)
	return routes
}

// Codes are the error codes that the document has anywhere, sorted.
func (d *Document) Codes() []string {
	var codes []string
	for _, t := range d.templates {
		for _, operation := range t.item.Operations() {
			for _, answer := range operation.Responses.Map() {
				if content := answer.Value.Content.Get("application/json"); content != nil && content.Schema != nil {
					codes = append(codes, codesOf(content.Schema.Value)...)
				}
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// codesOf finds the enumeration of error.code, in the schema or in one of the parts it is composed of.
func codesOf(schema *openapi3.Schema) []string {
	if schema == nil {
		return nil
	}
	if failure := schema.Properties["error"]; failure != nil {
		if code := failure.Value.Properties["code"]; code != nil && len(code.Value.Enum) > 0 {
			codes := make([]string, len(code.Value.Enum))
			for i, value := range code.Value.Enum {
				codes[i] = fmt.Sprint(value)
			}
			return codes
		}
	}
	for _, part := range schema.AllOf {
		if codes := codesOf(part.Value); codes != nil {
			return codes
		}
	}
	return nil
}

// find is the operation that an escaped path leads to, with the values of its variables; nil if there is none.
func (d *Document) find(method, escaped string) (*routers.Route, map[string]string) {
	segments := split(escaped)
	for _, t := range d.templates {
		values, ok := t.match(segments)
		if !ok {
			continue
		}
		operation := t.item.GetOperation(method)
		if operation == nil {
			return nil, nil
		}
		return &routers.Route{Spec: d.spec, Path: t.text, PathItem: t.item, Method: method, Operation: operation}, values
	}
	return nil, nil
}
