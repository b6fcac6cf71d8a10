package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// dispatchView is what is shown of who owns an entity.
type dispatchView struct {
	EntityURL    string     `json:"entity_url"`
	Status       string     `json:"status"`
	State        string     `json:"state"`
	Now          time.Time  `json:"now"`
	Generation   int64      `json:"generation"`
	Pending      bool       `json:"pending"`
	PendingSince *time.Time `json:"pending_since"`
	Owner        *struct {
		ConsumerID      string     `json:"consumer_id"`
		Epoch           int64      `json:"epoch"`
		RunnerID        string     `json:"runner_id"`
		ClaimedAt       time.Time  `json:"claimed_at"`
		ConfirmedAt     *time.Time `json:"confirmed_at"`
		DoneAt          *time.Time `json:"done_at"`
		LeaseExpiresAt  *time.Time `json:"lease_expires_at"`
		LastHeartbeatAt *time.Time `json:"last_heartbeat_at"`
	} `json:"owner"`
	Wake *struct {
		WakeID    string    `json:"wake_id"`
		RunnerID  string    `json:"runner_id"`
		Since     time.Time `json:"since"`
		Emissions int       `json:"emissions"`
	} `json:"wake"`
	Runner *struct {
		ID          string     `json:"id"`
		Registered  bool       `json:"registered"`
		AdminStatus string     `json:"admin_status"`
		Online      bool       `json:"online"`
		LastSeenAt  *time.Time `json:"last_seen_at"`
	} `json:"runner"`
	Failures    int `json:"failures"`
	LastRelease *struct {
		ConsumerID string    `json:"consumer_id"`
		Epoch      int64     `json:"epoch"`
		At         time.Time `json:"at"`
		Cause      string    `json:"cause"`
	} `json:"last_release"`
	Next struct {
		What    string     `json:"what"`
		At      *time.Time `json:"at"`
		Command string     `json:"command"`
	} `json:"next"`
}

type historyView struct {
	Events []eventView `json:"events"`
}

type eventView struct {
	At         time.Time       `json:"at"`
	Kind       string          `json:"kind"`
	What       string          `json:"what"`
	ConsumerID string          `json:"consumer_id"`
	Epoch      int64           `json:"epoch"`
	EntityURL  string          `json:"entity_url"`
	RunnerID   string          `json:"runner_id"`
	Cause      string          `json:"cause"`
	Actor      string          `json:"actor"`
	Reason     string          `json:"reason"`
	Details    json.RawMessage `json:"details"`
}

// why says who owns an entity, what happened to it, what happens next, and the command that changes it.
func why(ctx context.Context, p process, c config, args []string) error {
	if len(args) != 1 {
		return &usageError{errors.New("name one entity: wakelatch why /type/id")}
	}
	return operate(p, c, func(o *operator) error { return o.why(ctx, args[0]) })
}

func (o *operator) why(ctx context.Context, name string) error {
	path, err := entityPath(name)
	if err != nil {
		return err
	}
	var d dispatchView
	dispatch, err := o.get(ctx, &d, nil, append(path, "dispatch")...)
	if err != nil {
		return err
	}
	var h historyView
	history, err := o.get(ctx, &h, map[string]string{"limit": strconv.FormatInt(o.limit, 10)}, append(path, "history")...)
	if err != nil {
		return err
	}
	if o.json {
		o.print(`{"dispatch":%s,"history":%s}`, strings.TrimSpace(string(dispatch)), strings.TrimSpace(string(history)))
		return nil
	}
	o.explainDispatch(d)
	if len(h.Events) > 0 {
		o.print("\nWhat happened, newest first:")
		o.history(h.Events, d.Now, "RUNNER", func(e eventView) string { return e.RunnerID })
	}
	return nil
}

func (o *operator) explainDispatch(d dispatchView) {
	o.print("%s is %s", d.EntityURL, stateWords(d))
	o.fields(append(ownership(d), "Work", work(d), "Next", oneLine(d.Next.What), "When", when(d.Next.At, d.Now), "To change", d.Next.Command)...)
}

// stateWords is the state, and the status where the state hides it.
func stateWords(d dispatchView) string {
	phrases := map[string]string{
		"overdue": "under a claim that should be over", "wake_out": "waiting for its runner to claim", "due": "about to be woken",
		"backing_off": "backing off after a failure", "unrouted": "waiting, and no runner is named for it",
		"runner_unknown": "waiting for a runner that is not registered", "runner_disabled": "waiting for a runner that is disabled",
		"runner_draining": "waiting for a runner that drains", "runner_offline": "waiting for a runner that is offline",
	}
	state := cmp.Or(phrases[d.State], strings.ReplaceAll(d.State, "_", " "))
	if d.State != d.Status {
		return state + " (status " + d.Status + ")"
	}
	return state
}

// ownership is who has the entity or its wake, as names and values.
func ownership(d dispatchView) []string {
	var pairs []string
	if c := d.Owner; c != nil {
		pairs = append(pairs,
			"Owner", fmt.Sprintf("runner %s, claim %s epoch %d", c.RunnerID, c.ConsumerID, c.Epoch),
			"Since", when(&c.ClaimedAt, d.Now), "Confirmed", when(c.ConfirmedAt, d.Now),
			"Heartbeat", when(c.LastHeartbeatAt, d.Now), "Done", when(c.DoneAt, d.Now), "Lease ends", when(c.LeaseExpiresAt, d.Now))
	} else {
		pairs = append(pairs, "Owner", "nobody")
	}
	if w := d.Wake; w != nil {
		pairs = append(pairs, "Wake", fmt.Sprintf("%s epoch %d, to runner %s, announced %d×", w.WakeID, d.Generation, w.RunnerID, w.Emissions),
			"Out since", when(&w.Since, d.Now))
	}
	if r := d.Runner; r != nil {
		pairs = append(pairs, "Runner", fmt.Sprintf("%s, %s", r.ID, presence(d)))
	}
	if l := d.LastRelease; l != nil && d.Owner == nil {
		pairs = append(pairs, "Last claim", fmt.Sprintf("%s epoch %d, ended (%s) %s", l.ConsumerID, l.Epoch, l.Cause, when(&l.At, d.Now)))
	}
	return pairs
}

func presence(d dispatchView) string {
	r := d.Runner
	switch {
	case !r.Registered:
		return "which is not registered"
	case r.Online:
		return r.AdminStatus + " and online, seen " + ago(r.LastSeenAt, d.Now)
	case r.LastSeenAt == nil:
		return r.AdminStatus + ", never heard of"
	}
	return r.AdminStatus + " and offline, seen " + when(r.LastSeenAt, d.Now)
}

func work(d dispatchView) string {
	if !d.Pending {
		return "nothing pending"
	}
	text := "pending since " + when(d.PendingSince, d.Now)
	if d.Failures > 0 {
		text += fmt.Sprintf(", %d failures in a row", d.Failures)
	}
	return text
}

// history prints what happened. The column about is the entity of a runner's history, and the runner of an entity's.
func (o *operator) history(events []eventView, now time.Time, about string, of func(eventView) string) {
	rows := make([][]string, len(events))
	for i, e := range events {
		epoch := "-"
		if e.Epoch > 0 {
			epoch = strconv.FormatInt(e.Epoch, 10)
		}
		rows[i] = []string{
			when(&e.At, now), short(e.words(), 20), epoch, short(cmp.Or(of(e), "-"), 14), short(person(e.Actor), 16), short(oneLine(e.Reason), 20),
		}
	}
	o.table("WHEN WHAT EPOCH "+about+" BY WHY", rows)
}

// person is who did it, as a caller names itself: /principal/user%3Aalice is user:alice.
func person(actor string) string {
	key, ok := strings.CutPrefix(actor, "/principal/")
	if !ok {
		return oneLine(actor)
	}
	if plain, err := url.PathUnescape(key); err == nil {
		key = plain
	}
	return oneLine(key)
}

// words is what happened and how.
func (e eventView) words() string {
	var details struct {
		Signal string `json:"signal"`
	}
	if json.Unmarshal(e.Details, &details) == nil && details.Signal != "" {
		return details.Signal
	}
	if e.Cause != "" && e.Cause != e.What {
		return e.What + " (" + e.Cause + ")"
	}
	return e.What
}
