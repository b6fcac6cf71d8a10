package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// The share of the server's connections that may be in use.
const (
	crowded = 0.8
	full    = 0.95
)

func (p *patient) connections(ctx context.Context) (Finding, error) {
	type budget struct{ Max, Reserved, Used, Ours int }
	found, err := query[budget](ctx, p, `SELECT current_setting('max_connections')::int,
		current_setting('superuser_reserved_connections')::int, count(*)::int,
		count(*) FILTER (WHERE split_part(a.application_name, ' ', 1) IN (
			SELECT split_part(n.application_name, ' listener', 1) FROM pg_stat_activity n
			WHERE n.datname = current_database() AND n.application_name LIKE '% listener'))::int
		FROM pg_stat_activity a WHERE a.backend_type = 'client backend'`)
	if err != nil {
		return Finding{}, err
	}
	b := found[0]
	room := b.Max - b.Reserved
	text := fmt.Sprintf("%d of %d in use, %d of them by %s", b.Used, room, b.Ours, counted(p.nodes, "node"))
	most := b.Used - b.Ours + p.nodes*p.NodeConnections
	switch {
	case float64(b.Used) >= full*float64(room):
		return Finding{Status: Fail, Summary: text + ": raise max_connections, lower --pool-size, or put a pooler in front"}, nil
	case p.NodeConnections > 0 && most > room:
		return Finding{Status: Warn, Summary: fmt.Sprintf("%s; they may open %d each, %d in all with everybody else's", text, p.NodeConnections, most)}, nil
	case float64(b.Used) >= crowded*float64(room):
		return Finding{Status: Warn, Summary: text}, nil
	}
	return okay("%s", text)
}

// clockDistance is what a well kept machine never shows.
const clockDistance = time.Second

func (p *patient) clock(ctx context.Context) (Finding, error) {
	// The connection is there by now; the middle of the question is when it was answered.
	if _, err := p.pool.Exec(ctx, "SELECT 1"); err != nil {
		return Finding{}, err
	}
	before := p.Clock()
	var there time.Time
	if err := p.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
		return Finding{}, err
	}
	took := p.Clock().Sub(before)
	distance := there.Sub(before.Add(took / 2)).Round(time.Millisecond)
	if distance.Abs() > clockDistance+took {
		return Finding{Status: Warn, Summary: fmt.Sprintf("Postgres' clock is %s away from this machine's: leases go by Postgres' and are right, "+
			"logs and what people see do not agree", distance)}, nil
	}
	return okay("Postgres' is within %s of this machine's", max((distance.Abs()+took/2).Round(time.Millisecond), time.Millisecond))
}

func (p *patient) durability(ctx context.Context) (Finding, error) {
	type setting struct{ Name, Value string }
	found, err := query[setting](ctx, p, `SELECT name, setting FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name`)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Status: OK, Summary: "what was answered survives a crash of Postgres"}
	for _, s := range found {
		switch s.Name {
		case "synchronous_commit":
			f.worsen(Fail, "a crash of Postgres loses dones that were answered: they are handled again", s.Name+" is off")
			f.command(`psql "$WAKELATCH_DATABASE_URL" -c "ALTER DATABASE ` + "<name>" + ` SET synchronous_commit = on"`)
		default:
			f.worsen(Fail, "a crash of Postgres may destroy the database", s.Name+" is off")
			f.command(`psql "$WAKELATCH_DATABASE_URL" -c "ALTER SYSTEM SET ` + s.Name + ` = on" -c "SELECT pg_reload_conf()"`)
		}
	}
	return f, nil
}

func (p *patient) transactions(ctx context.Context) (Finding, error) {
	type transaction struct {
		PID         int
		Application string
		State       string
		Seconds     float64
		Query       string
	}
	seconds := p.OldTransaction.Seconds()
	found, err := query[transaction](ctx, p, `SELECT a.pid, a.application_name, COALESCE(a.state, ''),
			extract(epoch FROM clock_timestamp() - a.xact_start)::float8, left(COALESCE(a.query, ''), 60)
		FROM pg_stat_activity a
		WHERE a.datname = current_database() AND a.xact_start < clock_timestamp() - make_interval(secs => $1) AND a.backend_type = 'client backend'
		ORDER BY a.xact_start LIMIT $2`, seconds, maxRows)
	if err != nil {
		return Finding{}, err
	}
	type leftover struct{ Row, Command string }
	more, err := query[leftover](ctx, p, `
		SELECT 'prepared transaction ' || x.gid || ' of ' || x.prepared::text, 'ROLLBACK PREPARED ' || quote_literal(x.gid)
		FROM pg_prepared_xacts x WHERE x.database = current_database() AND x.prepared < clock_timestamp() - make_interval(secs => $1)
		UNION ALL
		SELECT 'unused replication slot ' || s.slot_name || ' keeps old rows', 'SELECT pg_drop_replication_slot(' || quote_literal(s.slot_name) || ')'
		FROM pg_replication_slots s WHERE NOT s.active AND (s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL)`, seconds)
	if err != nil {
		return Finding{}, err
	}
	if len(found)+len(more) == 0 {
		return okay("none is older than %s", p.OldTransaction)
	}
	f := Finding{Status: Warn, Summary: "old transactions keep dead rows from being removed, and may hold locks that nodes wait for"}
	for _, t := range found {
		f.list(fmt.Sprintf("process %d (%s) is %s for %.0f s: %s", t.PID, t.Application, t.State, t.Seconds, strings.Join(strings.Fields(t.Query), " ")),
			psql(fmt.Sprintf("SELECT pg_terminate_backend(%d)", t.PID)))
	}
	for _, l := range more {
		f.list(l.Row, psql(l.Command))
	}
	return f, nil
}

// psql is a command that runs a statement.
func psql(sql string) string { return `psql "$WAKELATCH_DATABASE_URL" -c ` + quoted(sql) }
