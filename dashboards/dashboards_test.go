package dashboards_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/dashboards"
)

// fromTheScrape are labels that Prometheus adds to everything it scrapes.
var fromTheScrape = []string{"instance", "job"}

// lookUp finds the metric that a selector names; a histogram shows as three series.
func lookUp(name string) (m dashboards.Metric, suffix string, found bool) {
	for _, m := range dashboards.Metrics() {
		if m.Kind != dashboards.Histogram && m.Name == name {
			return m, "", true
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if m.Kind == dashboards.Histogram && m.Name+suffix == name {
				return m, suffix, true
			}
		}
	}
	return dashboards.Metric{}, "", false
}

// faults are what the house rules hold against an expression.
func faults(text string) []string {
	selectors, err := parse(text)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, s := range selectors {
		m, suffix, ok := lookUp(s.metric)
		if !ok {
			found = append(found, s.metric+" is no metric of ours")
			continue
		}
		known := slices.Concat(m.Labels, fromTheScrape)
		if suffix == "_bucket" {
			known = append(known, "le")
		}
		used := slices.Clone(s.labels)
		for _, g := range s.groups {
			used = append(used, g.labels...)
		}
		for _, label := range used {
			if !slices.Contains(known, label) {
				found = append(found, s.metric+" has no label "+label)
			}
		}
		if m.Kind != dashboards.Gauge && (len(s.callers) == 0 || !slices.Contains([]string{"rate", "increase"}, s.callers[0])) {
			found = append(found, s.metric+" only grows: take its rate or its increase")
		}
		if m.Global && !overAllNodes(s) {
			found = append(found, s.metric+" is the same on every node: take its max over the nodes")
		}
	}
	return found
}

// overAllNodes says whether a global gauge loses its instance in a max before anything else happens to it.
func overAllNodes(s selector) bool {
	g, ok := s.innermost()
	if !ok || g.op != "max" || s.callers[0] != "max" {
		return false
	}
	return slices.Contains(g.labels, "instance") == g.without
}

func TestEveryExpressionKeepsTheHouseRules(t *testing.T) {
	for _, e := range expressions(t) {
		require.Empty(t, faults(e.text), "%s: %s", e.where, e.text)
	}
}

func TestTheHouseRulesBite(t *testing.T) {
	for text, fault := range map[string]string{
		`max(wakelatch_unheard_of)`: "no metric of ours",
		`up == 0`:                   "no metric of ours",
		`max(wakelatch_done_to_released_seconds)`:            "no metric of ours",
		`sum(wakelatch_claims_active)`:                       "max over the nodes",
		`wakelatch_claims_active`:                            "max over the nodes",
		`avg by (tenant) (wakelatch_claims_active)`:          "max over the nodes",
		`max by (instance) (wakelatch_claims_active)`:        "max over the nodes",
		`max without (tenant) (wakelatch_claims_active)`:     "max over the nodes",
		`max(sum by (tenant) (wakelatch_claims_active))`:     "max over the nodes",
		`sum(max_over_time(wakelatch_claims_releasing[5m]))`: "max over the nodes",
		`max(wakelatch_claims_releasing) + wakelatch_jobs`:   "max over the nodes",
		`sum by (runner) (rate(wakelatch_dones_total[5m]))`:  "no label runner",
		`sum(rate(wakelatch_dones_total{verdict="ok"}[5m]))`: "no label verdict",
		`sum(rate(wakelatch_batch_items_sum[5m])) by (le)`:   "no label le",
		`sum(wakelatch_dones_total)`:                         "only grows",
		`max_over_time(wakelatch_batch_items_count[5m])`:     "only grows",
		`sum(rate(wakelatch_dones_total[5m])`:                "want ,",
	} {
		require.Contains(t, strings.Join(faults(text), "\n"), fault, text)
	}
	for _, text := range []string{
		`sum(max by (tenant) (wakelatch_claims_active))`,
		`max without (instance, job) (wakelatch_claims_active)`,
		`max(wakelatch_jobs{state="available"}) by (queue)`,
		`histogram_quantile(0.9, sum by (le, batch) (rate(wakelatch_batch_items_bucket[5m])))`,
		`wakelatch_listener_connected == 0`,
	} {
		require.Empty(t, faults(text), text)
	}
}

func TestEveryMetricIsShownSomewhere(t *testing.T) {
	shown := map[string]bool{}
	for _, e := range expressions(t) {
		selectors, err := parse(e.text)
		require.NoError(t, err)
		for _, s := range selectors {
			m, _, _ := lookUp(s.metric)
			shown[m.Name] = true
		}
	}
	for _, m := range dashboards.Metrics() {
		require.True(t, shown[m.Name], "%s is on no panel and in no rule", m.Name)
	}
}

func TestMetricsAreNamedByTheHouseRules(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range dashboards.Metrics() {
		require.False(t, seen[m.Name], "%s is listed twice", m.Name)
		seen[m.Name] = true
		require.Regexp(t, `^wakelatch_[a-z]+(_[a-z]+)*$`, m.Name)
		require.Equal(t, m.Kind == dashboards.Counter, strings.HasSuffix(m.Name, "_total"), m.Name)
		require.False(t, m.Global && m.Kind != dashboards.Gauge, m.Name)
	}
}

func TestActiveClaimsAndTheirAgeAreOnTop(t *testing.T) {
	d := readDashboard(t)
	require.Equal(t, "wakelatch", d.UID)
	require.Equal(t, []string{"Active claims", "Oldest active claim"}, []string{d.Panels[0].Title, d.Panels[1].Title})
	require.Zero(t, d.Panels[0].GridPos.Y)

	ids := map[int]bool{}
	cells := map[[2]int]string{}
	for _, p := range d.Panels {
		require.False(t, ids[p.ID], "two panels with id %d", p.ID)
		ids[p.ID] = true
		if p.Type != "row" {
			require.NotEmpty(t, p.Targets, p.Title)
		}
		g := p.GridPos
		require.LessOrEqual(t, g.X+g.W, 24, p.Title)
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				require.Empty(t, cells[[2]int{x, y}], "%s lies over it", p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, v := range d.Templating.List {
		name := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Definition)
		require.NotNil(t, name, v.Definition)
		m, _, found := lookUp(name[1])
		require.True(t, found, name[1])
		require.Contains(t, m.Labels, name[2])
	}
}

func TestEveryRuleHasItsSectionInTheRunbook(t *testing.T) {
	text, err := os.ReadFile(runbookFile)
	require.NoError(t, err)
	sections := map[string]string{}
	for _, part := range strings.Split("\n"+string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		sections[strings.TrimSpace(title)] = body
	}
	for _, r := range readRules(t) {
		require.NotEmpty(t, r.Expr, r.Alert)
		require.NotEmpty(t, r.For, r.Alert)
		require.Contains(t, []string{"warning", "critical"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
		require.Equal(t, "docs/runbook.md#"+strings.ToLower(r.Alert), r.Annotations["runbook"])
		body, found := sections[r.Alert]
		require.True(t, found, "docs/runbook.md has no section %s", r.Alert)
		for _, part := range []string{"**Symptom.**", "**What it means.**", "**Look.**", "**Mend.**", "```"} {
			require.Contains(t, body, part, "section %s", r.Alert)
		}
		delete(sections, r.Alert)
	}
	for title := range sections {
		require.False(t, strings.HasPrefix(title, "Wakelatch"), "docs/runbook.md has a section %s without a rule", title)
	}
}

// registered is a registry that holds the listed metrics, changed by edit.
func registered(edit func([]dashboards.Metric) []dashboards.Metric) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	for _, m := range edit(dashboards.Metrics()) {
		opts := prometheus.GaugeOpts{Name: m.Name, Help: `has "help"`}
		if len(m.Labels) > 1 {
			opts.ConstLabels = prometheus.Labels{m.Labels[1]: "constant"}
			m.Labels = slices.Delete(slices.Clone(m.Labels), 1, 2)
		}
		registry.MustRegister(prometheus.NewGaugeVec(opts, m.Labels))
	}
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_threads", Help: "not ours"}))
	return registry
}

func TestDifferencesTellsWhatARegistryLacksOrAdds(t *testing.T) {
	require.Empty(t, dashboards.Differences(registered(func(all []dashboards.Metric) []dashboards.Metric {
		for i := range all {
			slices.Reverse(all[i].Labels)
		}
		return all
	})))
	require.Equal(t, []string{
		"wakelatch_claims_active is listed and not registered",
		"wakelatch_extra is registered and not listed",
		"wakelatch_http_request_seconds is registered with the labels [tenant] and listed with [method route]",
	}, dashboards.Differences(registered(func(all []dashboards.Metric) []dashboards.Metric {
		all[0].Name = "wakelatch_extra"
		all[len(all)-1].Labels = []string{"tenant"}
		return all
	})))
}
