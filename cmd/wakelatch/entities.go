package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

func entityCommands() []subcommand {
	one := []string{"/TYPE/ID"}
	return []subcommand{
		{name: "list", run: (*operator).listEntities},
		{name: "show", args: one, run: (*operator).showEntity},
		{name: "pause", args: one, changes: true, run: entityAction(http.MethodPost, "signal", "signal", "SIGSTOP")},
		{name: "resume", args: one, changes: true, run: entityAction(http.MethodPost, "signal", "signal", "SIGCONT")},
		{name: "stop", args: one, changes: true, run: entityAction(http.MethodPost, "signal", "signal", "SIGTERM")},
		{name: "kill", args: one, changes: true, run: entityAction(http.MethodPost, "signal", "signal", "SIGKILL")},
		{name: "unpark", args: one, changes: true, run: entityAction(http.MethodPost, "unpark")},
		{name: "move", args: one, changes: true, run: (*operator).moveEntity},
		{name: "delete", args: one, changes: true, run: entityAction(http.MethodDelete, "")},
	}
}

// entityView is what is shown of an entity.
type entityView struct {
	URL            string         `json:"url"`
	Status         string         `json:"status"`
	Version        int64          `json:"version"`
	DispatchPolicy *policyView    `json:"dispatch_policy"`
	ParkedReason   string         `json:"parked_reason"`
	Tags           map[string]any `json:"tags"`
	CreatedBy      string         `json:"created_by"`
	CreatedAt      time.Time      `json:"created_at"`
	UpdatedAt      time.Time      `json:"updated_at"`
}

type policyView struct {
	Targets []policyTarget `json:"targets"`
}

type policyTarget struct {
	Type     string `json:"type"`
	RunnerID string `json:"runnerId"`
}

// runner is where the entity's wakes go.
func (e entityView) runner() string {
	if e.DispatchPolicy == nil {
		return "-"
	}
	var ids []string
	for _, t := range e.DispatchPolicy.Targets {
		ids = append(ids, t.RunnerID)
	}
	return strings.Join(ids, ",")
}

// state is the status, and that the entity is parked.
func (e entityView) state() string {
	if e.ParkedReason != "" {
		return e.Status + ", parked"
	}
	return e.Status
}

func (o *operator) listEntities(ctx context.Context, _ []string) error {
	var page struct {
		Entities []entityView `json:"entities"`
		Next     string       `json:"next_after"`
	}
	raw, err := o.get(ctx, &page, o.listing("type", o.ofType, "status", o.status, "runner", o.ofRunner, "parked", onlyIf(o.parked)), "_electric", "entities")
	if err != nil {
		return err
	}
	if o.json {
		o.printJSON(raw)
		return nil
	}
	now := time.Now()
	rows := make([][]string, len(page.Entities))
	for i, e := range page.Entities {
		rows[i] = []string{short(e.URL, 48), e.state(), short(e.runner(), 24), ago(&e.UpdatedAt, now), ago(&e.CreatedAt, now)}
	}
	o.table("ENTITY STATUS RUNNER CHANGED CREATED", rows)
	o.more(page.Next, "entities list")
	return nil
}

func (o *operator) showEntity(ctx context.Context, args []string) error {
	path, err := entityPath(args[0])
	if err != nil {
		return err
	}
	var e entityView
	raw, err := o.get(ctx, &e, nil, path...)
	return o.showOneEntity(e, raw, err)
}

func (o *operator) showOneEntity(e entityView, raw json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	if o.json {
		o.printJSON(raw)
		return nil
	}
	now := time.Now()
	tags, err := json.Marshal(e.Tags)
	if err != nil {
		return fmt.Errorf("read tags of %s: %w", e.URL, err)
	}
	o.print("Entity %s is %s", e.URL, e.state())
	o.fields("Parked", oneLine(e.ParkedReason), "Runner", e.runner(), "Tags", oneLine(string(tags)), "Changed", when(&e.UpdatedAt, now),
		"Created", join(when(&e.CreatedAt, now), "by "+person(e.CreatedBy)), "More", "wakelatch why "+e.URL)
	return nil
}

// entityAction is an action whose answer is the entity, or nothing. The body has the reason and the pairs.
func entityAction(method, action string, pairs ...any) func(*operator, context.Context, []string) error {
	return func(o *operator, ctx context.Context, args []string) error {
		var more []string
		if action != "" {
			more = []string{action}
		}
		path, err := entityPath(args[0], more...)
		if err != nil {
			return err
		}
		var e entityView
		raw, err := o.change(ctx, &e, method, path, pairs...)
		if err != nil || method != http.MethodDelete || o.json {
			return o.showOneEntity(e, raw, err)
		}
		o.print("Entity %s is deleted", args[0])
		return nil
	}
}

func (o *operator) moveEntity(ctx context.Context, args []string) error {
	if o.to == "" {
		return &usageError{errors.New("move needs the runner to move to: add --to RUNNER")}
	}
	path, err := entityPath(args[0], "dispatch-policy")
	if err != nil {
		return err
	}
	var e entityView
	policy := map[string]any{"targets": []any{map[string]string{"type": "runner", "runnerId": o.to}}}
	raw, err := o.change(ctx, &e, http.MethodPut, path, "dispatch_policy", policy)
	return o.showOneEntity(e, raw, err)
}

func errEpoch(text string) error { return fmt.Errorf("epoch %q is no whole number above zero", text) }

// onlyIf is a filter that is on or left out.
func onlyIf(on bool) string {
	if on {
		return "true"
	}
	return ""
}

// join puts what is there behind each other.
func join(parts ...string) string {
	if parts[0] == "" {
		return ""
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}
