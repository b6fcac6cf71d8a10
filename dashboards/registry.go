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

// A description tells its name and labels by its text alone: constant labels as name="value", the others as names.
var (
	namePattern     = regexp.MustCompile(`fqName: "([^"]+)"`)
	constantPattern = regexp.MustCompile(`constLabels: \{([^}]*)\}`)
	variablePattern = regexp.MustCompile(`variableLabels: \{([^}]*)\}`)
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
		for _, pattern := range []*regexp.Regexp{constantPattern, variablePattern} {
			if list := pattern.FindStringSubmatch(d.String()); list != nil && list[1] != "" {
				for label := range strings.SplitSeq(list[1], ",") {
					label, _, _ = strings.Cut(label, "=")
					labels = append(labels, label)
				}
			}
		}
		slices.Sort(labels)
		found[name[1]] = labels
	}
	return found
}
