package dashboards

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// prefix is what the names of all our metrics begin with; others, such as Go's own, are not listed.
const prefix = "wakelatch_"

// Differences compares a node's registry with Metrics and says, one line each, which metric one of them
// lacks and whose labels differ. A metric counts as soon as it is registered, with or without a value.
func Differences(registry prometheus.Collector) []string {
	registered := describe(registry)
	var lines []string
	for _, m := range Metrics() {
		labels, found := registered[m.Name]
		delete(registered, m.Name)
		want := slices.Sorted(slices.Values(m.Labels))
		switch {
		case !found:
			lines = append(lines, m.Name+" is listed and not registered")
		case !slices.Equal(labels, want):
			lines = append(lines, fmt.Sprintf("%s is registered with the labels %v and listed with %v", m.Name, labels, want))
		}
	}
	for name := range registered {
		lines = append(lines, name+" is registered and not listed")
	}
	slices.Sort(lines)
	return lines
}

// A description tells its name and labels by its text alone.
var (
	namePattern   = regexp.MustCompile(`fqName: "([^"]+)"`)
	labelsPattern = regexp.MustCompile(`variableLabels: \{([^}]*)\}`)
)

func describe(c prometheus.Collector) map[string][]string {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		c.Describe(descriptions)
	}()
	found := map[string][]string{}
	for d := range descriptions {
		name := namePattern.FindStringSubmatch(d.String())
		if name == nil || !strings.HasPrefix(name[1], prefix) {
			continue
		}
		var labels []string
		if list := labelsPattern.FindStringSubmatch(d.String()); list != nil && list[1] != "" {
			labels = slices.Sorted(slices.Values(strings.Split(list[1], ",")))
		}
		found[name[1]] = labels
	}
	return found
}
