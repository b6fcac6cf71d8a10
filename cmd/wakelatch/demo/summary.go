package demo

import (
	"fmt"
	"strings"
)

// atRest says whether nothing is under way any more.
func (v Verdict) atRest() bool {
	return v.Claims.Leaked == 0 && v.Stuck == 0 && v.Once+len(v.Again) == v.Sent
}

// lines are the verdict for a person.
func (v Verdict) lines(unfenced bool) []string {
	again := fmt.Sprintf("%d again after a take-over", len(v.Again))
	lines := []string{
		"", "Verdict, from the database and the streams:", "",
		fmt.Sprintf("  messages   %d sent: %d handled once, %s", v.Sent, v.Once, again),
	}
	for _, r := range v.Again {
		lines = append(lines, fmt.Sprintf("             number %d, %s: by epoch %s", r.Message, r.Entity, epochs(r.Epochs)))
	}
	failed := ""
	if v.Claims.Failed > 0 {
		failed = fmt.Sprintf(", %d failed", v.Claims.Failed)
	}
	lines = append(lines,
		fmt.Sprintf("  claims     %d released, %d expired%s, %d leaked", v.Claims.Released, v.Claims.Expired, failed, v.Claims.Leaked),
		fmt.Sprintf("  entities   %d stuck", v.Stuck),
		fmt.Sprintf("  old epoch  %d appends refused, %d landed", v.Refused, v.Landed),
	)
	if v.Node != "" {
		lines = append(lines, fmt.Sprintf("  dead node  the claim that it had confirmed is %s", v.Node))
	}
	lines = append(lines, "")
	if unfenced {
		lines = append(lines, "The nodes ran without the fence: this demo has to fail.")
	}
	if len(v.Problems) == 0 {
		return append(lines, "OK: a node and a runner were killed at work, and nothing was lost, doubled or stuck.")
	}
	lines = append(lines, "FAILED:")
	for _, p := range v.Problems {
		lines = append(lines, "  "+p)
	}
	return lines
}

// epochs reads "3, which expired, and 4".
func epochs(all []int64) string {
	var texts []string
	for _, e := range all[:len(all)-1] {
		texts = append(texts, fmt.Sprintf("%d, which came to nothing,", e))
	}
	return strings.Join(append(texts, fmt.Sprintf("and %d", all[len(all)-1])), " ")
}
