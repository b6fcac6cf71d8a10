package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func runnerCommands() []subcommand {
	one := []string{"ID"}
	return []subcommand{
		{name: "list", run: (*operator).listRunners},
		{name: "show", args: one, run: (*operator).showRunner},
		{name: "drain", args: one, changes: true, run: (*operator).drainRunner},
		{name: "enable", args: one, changes: true, run: runnerAction(http.MethodPost, "enable")},
		{name: "disable", args: one, changes: true, run: runnerAction(http.MethodPost, "disable")},
		{name: "delete", args: one, changes: true, run: runnerAction(http.MethodDelete)},
	}
}

// runnerView is what is shown of a runner.
type runnerView struct {
	ID             string     `json:"id"`
	OwnerPrincipal string     `json:"owner_principal"`
	Label          string     `json:"label"`
	AdminStatus    string     `json:"admin_status"`
	Liveness       string     `json:"liveness"`
	LastSeenAt     *time.Time `json:"last_seen_at"`
	CreatedAt      time.Time  `json:"created_at"`
}

// healthView is what is shown of a runner's health.
type healthView struct {
	Claims struct {
		ActiveCount int64       `json:"active_count"`
		Active      []claimView `json:"active"`
	} `json:"claims"`
	Dispatch struct {
		Waking  int64 `json:"entities_with_outstanding_wake"`
		Pending int64 `json:"entities_with_pending_work"`
	} `json:"dispatch"`
	Health struct {
		Status string   `json:"status"`
		Issues []string `json:"issues"`
	} `json:"health"`
}

func runnerPath(id string, more ...string) []string {
	return append([]string{"_electric", "runners", id}, more...)
}

func (o *operator) listRunners(ctx context.Context, _ []string) error {
	var page struct {
		Runners []runnerView `json:"runners"`
		Next    string       `json:"next_after"`
	}
	raw, err := o.get(ctx, &page, o.listing(), "_electric", "runners")
	if err != nil {
		return err
	}
	if o.json {
		o.printJSON(raw)
		return nil
	}
	now := time.Now()
	rows := make([][]string, len(page.Runners))
	for i, r := range page.Runners {
		rows[i] = []string{short(r.ID, 32), r.AdminStatus, r.Liveness, ago(r.LastSeenAt, now), short(person(r.OwnerPrincipal), 32), short(oneLine(r.Label), 20)}
	}
	o.table("RUNNER STATUS LIVENESS SEEN OWNER LABEL", rows)
	o.more(page.Next, "runners list")
	return nil
}

func (o *operator) showRunner(ctx context.Context, args []string) error {
	var r runnerView
	raw, err := o.get(ctx, &r, nil, runnerPath(args[0])...)
	if err != nil {
		return err
	}
	if o.json {
		o.printJSON(raw)
		return nil
	}
	var health healthView
	if _, err := o.get(ctx, &health, nil, runnerPath(args[0], "health")...); err != nil {
		return err
	}
	var history historyView
	if _, err := o.get(ctx, &history, map[string]string{"limit": "10"}, runnerPath(args[0], "history")...); err != nil {
		return err
	}
	now := time.Now()
	o.print("Runner %s is %s, %s and %s", r.ID, r.AdminStatus, r.Liveness, health.Health.Status)
	o.fields("Owner", person(r.OwnerPrincipal), "Label", oneLine(r.Label), "Seen", when(r.LastSeenAt, now), "Since", when(&r.CreatedAt, now),
		"Issues", oneLine(strings.Join(health.Health.Issues, "; ")),
		"Entities", fmt.Sprintf("%d with a wake out, %d with work pending", health.Dispatch.Waking, health.Dispatch.Pending))
	o.running(health)
	if len(history.Events) > 0 {
		o.print("\nWhat happened, newest first:")
		o.history(history.Events, now, "ENTITY", func(e eventView) string { return e.EntityURL })
	}
	return nil
}

// running shows what a runner works on.
func (o *operator) running(h healthView) {
	if h.Claims.ActiveCount == 0 {
		o.print("It works on nothing.")
		return
	}
	o.print("\nIt works on %d:", h.Claims.ActiveCount)
	now := time.Now()
	rows := make([][]string, len(h.Claims.Active))
	for i, c := range h.Claims.Active {
		rows[i] = []string{
			short(c.EntityURL, 40), c.ConsumerID, strconv.FormatInt(c.Epoch, 10), ago(&c.ClaimedAt, now), ago(c.LastHeartbeatAt, now),
			ago(c.LeaseExpiresAt, now),
		}
	}
	o.table("ENTITY CONSUMER EPOCH CLAIMED HEARTBEAT LEASE-ENDS", rows)
}

// runnerAction is an action whose answer is the runner, or nothing.
func runnerAction(method string, path ...string) func(*operator, context.Context, []string) error {
	return func(o *operator, ctx context.Context, args []string) error {
		var r runnerView
		raw, err := o.change(ctx, &r, method, runnerPath(args[0], path...))
		switch {
		case err != nil:
			return err
		case o.json:
			o.printJSON(raw)
		case method == http.MethodDelete:
			o.print("Runner %s is deleted", args[0])
		default:
			o.print("Runner %s is %s, %s", args[0], r.AdminStatus, r.Liveness)
		}
		return nil
	}
}

// drainTick is how often a waiting drain looks again.
const drainTick = time.Second

// drainRunner shows what the runner still works on, and with --wait goes on until that is nothing.
func (o *operator) drainRunner(ctx context.Context, args []string) error {
	raw, err := o.change(ctx, nil, http.MethodPost, runnerPath(args[0], "drain"))
	if err != nil {
		return err
	}
	if o.json && !o.wait {
		o.printJSON(raw)
		return nil
	}
	ticker := time.NewTicker(drainTick)
	defer ticker.Stop()
	var shown []string
	for first := true; ; first = false {
		var health healthView
		if raw, err = o.get(ctx, &health, nil, runnerPath(args[0], "health")...); err != nil {
			return err
		}
		var keys []string
		for _, c := range health.Claims.Active {
			keys = append(keys, c.ConsumerID)
		}
		left := health.Claims.ActiveCount
		if !o.json && (first || !slices.Equal(keys, shown)) {
			o.print("Runner %s is drained of new wakes", args[0])
			o.running(health)
		}
		if shown = keys; left == 0 || !o.wait {
			break
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("runner %s still works on %d; it goes on draining: %w", args[0], left, context.Cause(ctx))
		}
	}
	if o.json {
		o.printJSON(raw)
	}
	return nil
}
