package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wakelatch/wakelatch/server/client"
)

// operator asks the nodes about the lifecycle, and changes it.
type operator struct {
	process
	config
	wire *client.Client
}

// subcommand is what stands behind claims, runners or entities.
type subcommand struct {
	name string
	// args are the names of its arguments.
	args []string
	// changes says that it needs a reason.
	changes bool
	run     func(o *operator, ctx context.Context, args []string) error
}

// pick makes the run function of a command that has subcommands.
func pick(subs func() []subcommand) func(context.Context, process, config, []string) error {
	return func(ctx context.Context, p process, c config, args []string) error {
		var names []string
		for _, s := range subs() {
			names = append(names, s.name)
		}
		if len(args) == 0 {
			return &usageError{errors.New("say what to do: " + strings.Join(names, ", "))}
		}
		i := slices.Index(names, args[0])
		if i < 0 {
			return &usageError{fmt.Errorf("%q is none of %s", args[0], strings.Join(names, ", "))}
		}
		sub := subs()[i]
		if args = args[1:]; len(args) != len(sub.args) {
			return &usageError{fmt.Errorf("%s takes %d arguments: %s", sub.name, len(sub.args), strings.Join(append([]string{sub.name}, sub.args...), " "))}
		}
		if sub.changes && strings.TrimSpace(c.reason) == "" {
			return &usageError{fmt.Errorf("%s needs a reason, which the history keeps: add --reason TEXT", sub.name)}
		}
		return operate(p, c, func(o *operator) error {
			err := sub.run(o, ctx, args)
			if missing, ok := errors.AsType[*notFoundError](err); ok {
				missing.what = strings.Join(append([]string{sub.name}, args...), " ") + ": " + missing.what
			}
			return err
		})
	}
}

// operate gives do the nodes to ask.
func operate(p process, c config, do func(o *operator) error) error {
	header := http.Header{}
	if c.apiKey != "" {
		header.Set("Authorization", "Bearer "+c.apiKey)
	}
	wire, err := client.New(client.Options{URL: c.url, Header: header})
	if err != nil {
		return err
	}
	defer wire.Close()
	return do(&operator{process: p, config: c, wire: wire})
}

// get asks for what the path names and reads it into the view, unless that is nil.
func (o *operator) get(ctx context.Context, view any, query map[string]string, path ...string) (json.RawMessage, error) {
	return o.do(ctx, client.Operation{Path: path, Query: query}, view)
}

// change does an operator's action, with its reason and what else the body holds as name, value pairs.
func (o *operator) change(ctx context.Context, view any, method string, path []string, more ...any) (json.RawMessage, error) {
	body := map[string]any{"reason": o.reason}
	for pair := range slices.Chunk(more, 2) {
		name, _ := pair[0].(string)
		body[name] = pair[1]
	}
	return o.do(ctx, client.Operation{Method: method, Path: path, Body: body}, view)
}

func (o *operator) do(ctx context.Context, operation client.Operation, view any) (json.RawMessage, error) {
	raw, err := o.wire.Operate(ctx, operation)
	if err != nil {
		return nil, o.explain(err)
	}
	if view != nil && len(raw) > 0 {
		if err := json.Unmarshal(raw, view); err != nil {
			return nil, fmt.Errorf("the answer of %s is not as expected; is it a node of this version? %w", o.url, err)
		}
	}
	return raw, nil
}

// notFoundError is an answer that says that what was named does not exist.
type notFoundError struct{ what string }

// Error is what the node said.
func (e *notFoundError) Error() string { return e.what }

// explain makes of a failed request what the person at the keyboard can use.
func (o *operator) explain(err error) error {
	refused, ok := errors.AsType[*client.Error](err)
	if !ok {
		// The request is known; what went wrong with it is inside.
		if request, ok := errors.AsType[*url.Error](err); ok {
			err = request.Err
		}
		return fmt.Errorf("no node answers at %s: %w (flag --url)", o.url, err)
	}
	switch {
	case refused.Status == http.StatusNotFound && refused.Code != "":
		return &notFoundError{refused.Message}
	case refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%s (flag --api-key)", refused.Message)
	case refused.Code != "":
		return fmt.Errorf("%s (%s)", refused.Message, refused.Code)
	}
	return fmt.Errorf("%s answers with status %d, and not as a node does (flag --url)", o.url, refused.Status)
}

// printJSON prints an answer as it came.
func (o *operator) printJSON(raw json.RawMessage) { o.print("%s", strings.TrimSpace(string(raw))) }

// entityPath is where the API has an entity, written as /type/id or type/id.
func entityPath(name string, more ...string) ([]string, error) {
	kind, id, found := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !found || kind == "" || id == "" || strings.Contains(id, "/") {
		return nil, &usageError{fmt.Errorf("%q is no entity: write /type/id", name)}
	}
	return append([]string{"_electric", "entities", kind, id}, more...), nil
}
