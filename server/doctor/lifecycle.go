package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wakelatch/wakelatch/server/claim"
	"github.com/wakelatch/wakelatch/sql/db"
)

// lateAfter is how long the sweep may leave what it is there for.
const lateAfter = 10 * time.Second

func (p *patient) consistency(ctx context.Context) (Finding, error) {
	violations, err := claim.Violations(ctx, p.pool)
	if err != nil {
		return Finding{}, err
	}
	if len(violations) == 0 {
		return okay("no row contradicts another one")
	}
	f := Finding{Status: Fail, Summary: fmt.Sprintf("%d rows contradict each other; keep this output, and the nodes' logs, before mending", len(violations))}
	for _, v := range violations {
		f.list(fmt.Sprintf("%s tenant %s, %s: %s", v.Invariant, v.TenantID, v.Subject, v.Detail),
			fmt.Sprintf("wakelatch mend %s %s --reason WHY", quoted(v.TenantID), quoted(v.Subject)))
	}
	return f, nil
}

func (p *patient) sweep(ctx context.Context) (Finding, error) {
	seconds, err := p.queries.SinceLastSweep(ctx, p.pool)
	if err != nil {
		return Finding{}, err
	}
	switch ago := time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond); {
	case ago < lateAfter:
		return okay("the last one %s ago", ago)
	case p.nodes == 0:
		return Finding{Status: Warn, Summary: fmt.Sprintf("no node is connected; the last sweep was %s ago", ago), Commands: []string{"wakelatch serve"}}, nil
	default:
		return Finding{Status: Fail, Summary: fmt.Sprintf("%s connected, and no sweep for %s: read the logs, restart a node", counted(p.nodes, "node"), ago)}, nil
	}
}

func (p *patient) releases(ctx context.Context) (Finding, error) {
	late, err := p.queries.OverdueClaims(ctx, p.pool, db.OverdueClaimsParams{OverdueMs: lateAfter.Milliseconds(), MaxRows: maxRows + 1})
	if err != nil {
		return Finding{}, err
	}
	if len(late) == 0 {
		return okay("no claim is left that should be over")
	}
	f := Finding{Status: Fail, Summary: atLeast(len(late)) + " claims should be over by now"}
	for _, c := range late {
		why := "is past its lease"
		if c.Done {
			why = "is done and not released"
		}
		f.list(fmt.Sprintf("tenant %s, %s: claim %s epoch %d %s for %.0f s", c.TenantID, c.EntityURL, c.ConsumerID, c.Epoch, why, c.Seconds),
			fmt.Sprintf("wakelatch claims release %s %d --reason WHY", quoted(c.ConsumerID), c.Epoch))
	}
	return f, nil
}

func (p *patient) parked(ctx context.Context) (Finding, error) {
	parked, err := p.queries.ParkedEntities(ctx, p.pool, maxRows+1)
	if err != nil {
		return Finding{}, err
	}
	if len(parked) == 0 {
		return okay("no entity is parked")
	}
	f := Finding{Status: Warn, Summary: atLeast(len(parked)) + " entities are parked after too many failures in a row"}
	for _, e := range parked {
		f.list(fmt.Sprintf("tenant %s, %s: %s", e.TenantID, e.EntityURL, e.Reason),
			fmt.Sprintf("wakelatch entities unpark %s --reason WHY", quoted(e.EntityURL)))
	}
	return f, nil
}

func (p *patient) runners(ctx context.Context) (Finding, error) {
	absent, err := p.queries.AbsentRunners(ctx, p.pool, maxRows+1)
	if err != nil {
		return Finding{}, err
	}
	if len(absent) == 0 {
		return okay("every runner that work waits for is there")
	}
	f := Finding{Status: Warn, Summary: atLeast(len(absent)) + " runners are not there for the work that waits for them"}
	for _, r := range absent {
		row := fmt.Sprintf("tenant %s, runner %s %s, waited for by %s, such as %s",
			r.TenantID, r.RunnerID, absence(r), counted(int(r.Entities), "entity"), r.Example)
		command := "wakelatch why " + quoted(r.Example)
		if r.AdminStatus == "disabled" || r.AdminStatus == "draining" {
			command = fmt.Sprintf("wakelatch runners enable %s --reason WHY", quoted(r.RunnerID))
		}
		f.list(row, command)
	}
	return f, nil
}

func absence(r db.AbsentRunnersRow) string {
	switch {
	case !r.Registered:
		return "is not registered"
	case r.AdminStatus != "enabled":
		return "is " + r.AdminStatus
	case r.NeverSeen:
		return "was never heard of"
	}
	return "is offline"
}

// tokenKeyName is what package server keeps its token key under.
const tokenKeyName = "token_key"

func (p *patient) tokenKey(ctx context.Context) (Finding, error) {
	found, err := p.queries.HasSecret(ctx, p.pool, tokenKeyName)
	if err != nil {
		return Finding{}, err
	}
	if found {
		return Finding{Status: Warn, Summary: "a token key is kept in wakelatch.secrets: nodes without WAKELATCH_TOKEN_KEY sign with it, and whoever reads that table can make tokens"}, nil
	}
	return okay("none is kept in the database")
}

// counted is a number of things.
func counted(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return strconv.Itoa(n) + " " + strings.TrimSuffix(noun, "y") + "ies"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// atLeast is how many there are, of which one more than is shown was asked for.
func atLeast(n int) string {
	if n > maxRows {
		return fmt.Sprintf("more than %d", maxRows)
	}
	return strconv.Itoa(n)
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
