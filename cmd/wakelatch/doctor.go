package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/wakelatch/wakelatch/server"
	"github.com/wakelatch/wakelatch/server/doctor"
)

// examine looks at an installation and prints what it found.
func examine(ctx context.Context, p process, c config, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("doctor takes no arguments, not %q", args[0])}
	}
	findings, err := doctor.Examine(ctx, doctor.Options{
		DatabaseURL: c.databaseURL, ListenDatabaseURL: c.listenDatabaseURL, URL: c.url, NodeConnections: server.Connections(int(c.poolSize)),
	})
	if err != nil {
		return err
	}
	failed, warned := 0, 0
	for _, f := range findings {
		switch f.Status {
		case doctor.Fail:
			failed++
		case doctor.Warn:
			warned++
		case doctor.OK, doctor.Skipped:
		}
	}
	if c.json {
		err = printFindings(p, findings, failed == 0)
	} else {
		tellFindings(p, findings, warned)
	}
	if err == nil && failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(findings))
	}
	return err
}

func printFindings(p process, findings []doctor.Finding, ok bool) error {
	text, err := json.Marshal(struct {
		OK     bool             `json:"ok"`
		Checks []doctor.Finding `json:"checks"`
	}{ok, findings})
	if err != nil {
		return fmt.Errorf("encode findings: %w", err)
	}
	p.print("%s", text)
	return nil
}

// tellFindings prints a line for each check, with what is wrong and what to do below it.
func tellFindings(p process, findings []doctor.Finding, warned int) {
	for _, f := range findings {
		status := string(f.Status)
		if f.Status == doctor.Fail {
			status = "FAIL"
		}
		for i, line := range wrapped(oneLine(f.Summary), width-24) {
			if i > 0 {
				p.print("%24s%s", "", line)
				continue
			}
			p.print("%-8s %-14s %s", status, f.Check, line)
		}
		for _, row := range f.Rows {
			p.print("           %s", oneLine(row))
		}
		for _, command := range f.Commands {
			p.print("         → %s", oneLine(command))
		}
	}
	switch warned {
	case 0:
	case 1:
		p.say("1 warning.")
	default:
		p.say("%d warnings.", warned)
	}
}

// mend brings the rows of one entity into agreement.
func mend(ctx context.Context, p process, c config, args []string) error {
	if len(args) != 2 {
		return &usageError{errors.New("name a tenant and an entity: wakelatch mend default /type/id --reason TEXT")}
	}
	if strings.TrimSpace(c.reason) == "" {
		return &usageError{errors.New("mend needs a reason, which the history keeps: add --reason TEXT")}
	}
	entityURL := "/" + strings.TrimPrefix(args[1], "/")
	before, after, err := doctor.Mend(ctx, doctor.MendRequest{
		DatabaseURL: c.databaseURL, Tenant: args[0], EntityURL: entityURL, Actor: whoRuns(), Reason: c.reason,
	})
	if errors.Is(err, doctor.ErrNoEntity) {
		return &notFoundError{err.Error()}
	}
	if err != nil {
		return err
	}
	if len(before) == 0 {
		p.print("Entity %s agreed with itself; nothing was changed.", entityURL)
		return nil
	}
	for _, v := range before {
		p.print("It was: %s %s", v.Invariant, v.Detail)
	}
	if len(after) == 0 {
		p.print("Entity %s agrees with itself.", entityURL)
		return nil
	}
	for _, v := range after {
		p.print("Still:  %s %s", v.Invariant, v.Detail)
	}
	p.print("The sweep of a node does the rest within seconds; if it does not, wakelatch doctor says why.")
	return nil
}
