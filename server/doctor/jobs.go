package doctor

import (
	"context"
	"fmt"
	"time"
)

// stuckAfter is far beyond a job's time-out and the time until it is rescued.
const stuckAfter = time.Minute

// queue is the jobs of one queue in one state: how many, for how long the oldest has waited or run, the last error.
type queue struct {
	Name    string
	State   string
	Jobs    int64
	Seconds float64
	Error   string
}

func (p *patient) jobs(ctx context.Context) (Finding, error) {
	queues, err := query[queue](ctx, p, `
		SELECT j.queue, j.state::text, count(*),
		       COALESCE(extract(epoch FROM statement_timestamp() - min(CASE j.state WHEN 'running' THEN j.attempted_at ELSE j.scheduled_at END)), 0)::float8,
		       COALESCE(left((array_agg(j.errors[cardinality(j.errors)] ->> 'error' ORDER BY j.id DESC)
		           FILTER (WHERE cardinality(j.errors) > 0))[1], 200), '')
		FROM public.river_job j WHERE j.state IN ('available', 'running', 'retryable', 'discarded') AND j.queue IS NOT NULL
		GROUP BY j.queue, j.state ORDER BY j.queue, j.state`)
	if err != nil {
		return Finding{}, err
	}
	leaders, err := query[struct{ Name string }](ctx, p, `SELECT leader_id FROM public.river_leader WHERE expires_at > statement_timestamp()`)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Status: OK, Summary: "none waits, none failed"}
	for _, q := range queues {
		p.judge(&f, q)
	}
	switch {
	case len(leaders) > 0:
		f.Summary += "; led by " + leaders[0].Name
	case p.nodes > 0:
		f.worsen(Warn, "no leader, so that scheduled jobs wait and jobs of dead nodes are not rescued", "")
	}
	return f, nil
}

func (p *patient) judge(f *Finding, q queue) {
	row := fmt.Sprintf("queue %s: %d %s, the oldest for %.0f s", q.Name, q.Jobs, q.State, q.Seconds)
	if q.Error != "" {
		row += ", last error: " + q.Error
	}
	age := time.Duration(q.Seconds * float64(time.Second))
	switch {
	case q.State == "available" && age > lateAfter && p.nodes == 0:
		f.worsen(Warn, "jobs wait and no node is connected", row)
	case q.State == "available" && age > lateAfter:
		f.worsen(Fail, "jobs wait and nobody takes them: restart the nodes one after the other", row)
	case q.State == "running" && age > stuckAfter:
		f.worsen(Fail, "jobs run for far longer than they may: their nodes are dead and nobody leads, or the database blocks them", row)
	case q.State == "retryable":
		f.worsen(Warn, "jobs failed and are tried again", row)
	case q.State == "discarded":
		f.worsen(Warn, "jobs failed for good; the sweep released what they were for", row)
	}
}

// worsen makes a finding at least this bad; what is worse than before says what the finding is about.
func (f *Finding) worsen(to Status, summary, row string) {
	if to == Fail && f.Status != Fail || f.Status == OK {
		f.Status, f.Summary = to, summary
	}
	if row != "" {
		f.list(row)
	}
}
