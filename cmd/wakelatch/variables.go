package main

import (
	"slices"
	"strings"
)

const variablePrefix = "WAKELATCH_"

// ours are variables that are no setting: what run gives to its program, in which somebody may call this one.
var ours = []string{"WAKELATCH_ENTITY", "WAKELATCH_STREAM", "WAKELATCH_TOKEN", "WAKELATCH_WAKE", "WAKELATCH_EPOCH"}

// warnOfUnknown names every variable that looks like a setting and is none: one that is mistyped would leave its
// setting at the default without a word.
func warnOfUnknown(p process, cmd command, environ []string) {
	known := slices.Clone(ours)
	for _, s := range settings() {
		known = append(known, s.variable())
	}
	for _, line := range environ {
		name, _, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, variablePrefix) || slices.Contains(known, name) || strings.HasPrefix(name, "WAKELATCH_TEST_") {
			continue
		}
		hint := "see wakelatch help " + cmd.name
		if near := nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		p.say("wakelatch %s: the variable %s is no setting and is not looked at; %s", cmd.name, name, hint)
	}
}

// nearest is the name that the fewest changed letters lead to, or none if that is more than a slip or two.
func nearest(name string, known []string) string {
	const slips = 3
	best, found := slips+1, ""
	for _, k := range known {
		if d := distance(name, k); d < best {
			best, found = d, k
		}
	}
	return found
}

// distance is how many letters must be put in, left out or changed to make one name of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}
