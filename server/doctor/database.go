package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

func collect[T any](ctx context.Context, conn pg.Conn, sql string, args ...any) ([]T, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// oldest is the first Postgres that this version is tested with, as server_version_num has it.
const oldest = 150000

func (p *patient) database(ctx context.Context) (Finding, error) {
	type server struct {
		Version  string
		Number   int
		Standby  bool
		ReadOnly bool
		Nodes    int
	}
	found, err := query[server](ctx, p, `SELECT current_setting('server_version'), current_setting('server_version_num')::int,
		pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean,
		(SELECT count(DISTINCT a.application_name)::int FROM pg_stat_activity a
		 WHERE a.datname = current_database() AND a.application_name LIKE '% listener')`)
	if err != nil {
		return Finding{Status: Fail, Summary: fmt.Sprintf("%v: %v", ErrDatabase, err)}, nil
	}
	s := found[0]
	p.nodes = s.Nodes
	switch {
	case s.Standby:
		return Finding{Status: Fail, Summary: "the database is a standby and takes no writes: use the primary's URL"}, nil
	case s.ReadOnly:
		return Finding{Status: Fail, Summary: "default_transaction_read_only is on, and nodes only write"}, nil
	case s.Number < oldest:
		return Finding{Status: Warn, Summary: fmt.Sprintf("Postgres %s; this version is tested with 15 and newer", s.Version)}, nil
	}
	return okay("Postgres %s, %s connected", s.Version, counted(s.Nodes, "node"))
}

func (p *patient) schema(ctx context.Context) (Finding, error) {
	err := migrations.Check(ctx, p.pool)
	if errors.Is(err, migrations.ErrPending) {
		return Finding{Status: Fail, Summary: err.Error(), Commands: []string{"wakelatch migrate up"}}, nil
	}
	if err != nil {
		return Finding{}, err
	}
	list, err := migrations.List(ctx, p.pool)
	if err != nil {
		return Finding{}, err
	}
	last := ""
	for _, m := range list {
		if !strings.HasPrefix(m.Name, "river ") {
			last = m.Name
		}
	}
	return okay("up to date, %d migrations, the last of ours %s", len(list), last)
}

func (p *patient) node(ctx context.Context) (Finding, error) {
	if p.URL == "" {
		return Finding{Status: Skipped, Summary: "no --url is given"}, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(p.URL, "/")+"/readyz", http.NoBody)
	if err != nil {
		return Finding{}, err
	}
	began := time.Now()
	answer, err := p.HTTP.Do(r)
	if err != nil {
		return Finding{Status: Fail, Summary: fmt.Sprintf("no node answers: %v", err)}, nil
	}
	defer func() { _ = answer.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
	if answer.StatusCode != http.StatusOK {
		return Finding{Status: Fail, Summary: fmt.Sprintf("%s answers %d: %s", r.URL, answer.StatusCode, strings.TrimSpace(string(said)))}, nil
	}
	return okay("%s serves, answered in %d ms", p.URL, time.Since(began).Milliseconds())
}
