package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wakelatch/wakelatch/server/apikey"
	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// manageKeys works on the database and not through a node: the first key must come from somewhere, and whoever reaches the
// database may do everything anyway.
func manageKeys(ctx context.Context, p process, c config, args []string) error {
	do := map[string]func(context.Context, process, config, *apikey.Manager, []string) error{
		"create": createKey, "list": listKeys, "revoke": revokeKey,
	}
	if len(args) == 0 || do[args[0]] == nil {
		return &usageError{errors.New("say what to do: create, list or revoke")}
	}
	pool, err := pg.NewPool(ctx, pg.PoolOptions{DSN: c.databaseURL, ApplicationName: "wakelatch keys", MaxConns: 1})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Check(ctx, pool); err != nil {
		return err
	}
	err = do[args[0]](ctx, p, c, apikey.NewManager(pool), args[1:])
	if _, wrong := errors.AsType[*apikey.InvalidError](err); wrong {
		return &usageError{err}
	}
	return err
}

// createKey prints the key alone on stdout, so that a shell can keep it in a variable.
func createKey(ctx context.Context, p process, c config, m *apikey.Manager, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("%q is no flag; flags begin with --", args[0])}
	}
	made, text, err := m.Create(ctx, apikey.CreateRequest{
		Tenant: c.key.tenant, Principal: c.key.principal, Role: apikey.Role(c.key.role), Label: c.key.label,
		ExpiresIn: c.key.expiresIn, By: whoRuns(),
	})
	if err != nil {
		return err
	}
	if c.json {
		return p.printJSON(struct {
			Key string `json:"key"`
			apikey.Info
		}{text, made})
	}
	p.say("Key %s of tenant %s acts as %s with role %s%s. It is shown only now:", made.ID, made.Tenant, made.Principal, made.Role, until(made.ExpiresAt))
	p.print("%s", text)
	return nil
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " until " + t.Format(time.RFC3339)
}

func listKeys(ctx context.Context, p process, c config, m *apikey.Manager, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("%q is no flag; flags begin with --", args[0])}
	}
	found, err := m.List(ctx, c.key.tenant)
	if err != nil {
		return err
	}
	if c.json {
		return p.printJSON(map[string]any{"keys": found})
	}
	return printKeys(p, found)
}

func revokeKey(ctx context.Context, p process, c config, m *apikey.Manager, args []string) error {
	if len(args) != 1 {
		return &usageError{errors.New("name the key by its id, as in: wakelatch keys revoke ID --reason 'laptop was lost'")}
	}
	revoked, err := m.Revoke(ctx, args[0], whoRuns(), c.reason)
	if err != nil {
		return err
	}
	if c.json {
		return p.printJSON(revoked)
	}
	p.say("Key %s is revoked. Nodes that reach the database refuse it within two seconds; claims that its holder has go on by their tokens.", revoked.ID)
	return printKeys(p, []apikey.Info{revoked})
}

func printKeys(p process, keys []apikey.Info) error {
	if len(keys) == 0 {
		p.say("There are no keys.")
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) }
	row("ID", "TENANT", "PRINCIPAL", "ROLE", "STATUS", "EXPIRES", "CREATED", "LABEL", "REASON")
	for _, k := range keys {
		expires, reason := "never", "-"
		if k.ExpiresAt != nil {
			expires = k.ExpiresAt.Format(time.RFC3339)
		}
		if k.RevokedReason != nil {
			reason = fmt.Sprintf("%s (%s)", oneLine(*k.RevokedReason), oneLine(*k.RevokedBy))
		}
		label := oneLine(k.Label)
		if label == "" {
			label = "-"
		}
		row(k.ID, k.Tenant, oneLine(k.Principal), string(k.Role), k.Status, expires, k.CreatedAt.Format(time.RFC3339), label, reason)
	}
	return table.Flush()
}

// whoRuns is who runs this command, as far as the machine knows.
func whoRuns() string {
	name := "unknown"
	if who, err := user.Current(); err == nil {
		name = who.Username
	}
	host, _ := os.Hostname()
	return "operator:" + name + "@" + host
}

func (p process) printJSON(value any) error {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	p.print("%s", body)
	return nil
}
