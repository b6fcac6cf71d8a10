package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

func claimCommands() []subcommand {
	return []subcommand{
		{name: "list", run: (*operator).listClaims},
		{name: "show", args: []string{"CONSUMER", "EPOCH"}, run: (*operator).showClaim},
		{name: "release", args: []string{"CONSUMER", "EPOCH"}, changes: true, run: (*operator).releaseClaim},
	}
}

// claimView is what is shown of a claim.
type claimView struct {
	ConsumerID      string     `json:"consumer_id"`
	Epoch           int64      `json:"epoch"`
	EntityURL       string     `json:"entity_url"`
	RunnerID        string     `json:"runner_id"`
	Status          string     `json:"status"`
	ClaimedAt       time.Time  `json:"claimed_at"`
	ConfirmedAt     *time.Time `json:"confirmed_at"`
	DoneAt          *time.Time `json:"done_at"`
	DoneOutcome     string     `json:"done_outcome"`
	ReleasedAt      *time.Time `json:"released_at"`
	ReleaseCause    string     `json:"release_cause"`
	ReleasedBy      string     `json:"released_by"`
	LeaseExpiresAt  *time.Time `json:"lease_expires_at"`
	LastHeartbeatAt *time.Time `json:"last_heartbeat_at"`
}

func (o *operator) listClaims(ctx context.Context, _ []string) error {
	var page struct {
		Claims []claimView `json:"claims"`
		Next   string      `json:"next_after"`
	}
	raw, err := o.get(ctx, &page, o.listing("status", o.status, "entity", o.entity, "runner", o.ofRunner), "_electric", "claims")
	if err != nil {
		return err
	}
	if o.json {
		o.printJSON(raw)
		return nil
	}
	o.claimTable(page.Claims)
	o.more(page.Next, "claims list")
	return nil
}

// listing is the query of a list: filters as name, value pairs, and the page.
func (o *operator) listing(filters ...string) map[string]string {
	query := map[string]string{"limit": strconv.FormatInt(o.limit, 10), "after": o.after}
	for i := 0; i+1 < len(filters); i += 2 {
		if query[filters[i]] = filters[i+1]; filters[i+1] != "" && !o.json {
			// A variable may have set it.
			o.say("Only those with %s %s.", filters[i], filters[i+1])
		}
	}
	return query
}

// more says how to go on where the list ended.
func (o *operator) more(next, command string) {
	if next != "" {
		o.say("There are more: wakelatch %s --after %s", command, next)
	}
}

func (o *operator) claimTable(claims []claimView) {
	now := time.Now()
	rows := make([][]string, len(claims))
	for i, c := range claims {
		rows[i] = []string{
			c.ConsumerID, strconv.FormatInt(c.Epoch, 10), c.Status, short(c.EntityURL, 24), short(c.RunnerID, 16), ago(&c.ClaimedAt, now), c.end(now),
		}
	}
	o.table("CONSUMER EPOCH STATUS ENTITY RUNNER CLAIMED END", rows)
}

// end is how a claim ended, or how long its lease lasts.
func (c claimView) end(now time.Time) string {
	switch {
	case c.ReleasedAt != nil:
		return c.ReleaseCause + " " + ago(c.ReleasedAt, now)
	case c.DoneAt != nil:
		return "releasing, done " + ago(c.DoneAt, now)
	}
	return "lease ends " + ago(c.LeaseExpiresAt, now)
}

func (o *operator) showClaim(ctx context.Context, args []string) error {
	path, err := claimPath(args)
	if err != nil {
		return err
	}
	var c claimView
	raw, err := o.get(ctx, &c, nil, path...)
	return o.showOne(c, raw, err)
}

func (o *operator) releaseClaim(ctx context.Context, args []string) error {
	path, err := claimPath(args)
	if err != nil {
		return err
	}
	var c claimView
	raw, err := o.change(ctx, &c, http.MethodPost, append(path, "release"))
	return o.showOne(c, raw, err)
}

func (o *operator) showOne(c claimView, raw json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	if o.json {
		o.printJSON(raw)
		return nil
	}
	now := time.Now()
	o.print("Claim %s epoch %d is %s", c.ConsumerID, c.Epoch, c.Status)
	o.fields("Entity", c.EntityURL, "Runner", c.RunnerID, "Claimed", when(&c.ClaimedAt, now), "Confirmed", when(c.ConfirmedAt, now),
		"Heartbeat", when(c.LastHeartbeatAt, now), "Lease ends", when(c.LeaseExpiresAt, now), "Done", join(when(c.DoneAt, now), c.DoneOutcome),
		"Ended", join(when(c.ReleasedAt, now), c.ReleaseCause, by(c.ReleasedBy)))
	return nil
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return "by the " + who
}

func claimPath(args []string) ([]string, error) {
	epoch, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || epoch <= 0 {
		return nil, &usageError{errEpoch(args[1])}
	}
	return []string{"_electric", "claims", args[0], args[1]}, nil
}
