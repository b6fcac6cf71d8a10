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
	lines := []string{
		"", "Verdict, from the database and the streams:", "",
		fmt.Sprintf("  messages     %d sent: %d handled once, %d again after a take-over", v.Sent, v.Once, len(v.Again)),
	}
	for _, r := range v.Again {
		lines = append(lines, fmt.Sprintf("               number %d of %s: %s", r.Message, r.Entity, attempts(r.By)))
	}
	failed := ""
	if v.Claims.Failed > 0 {
		failed = fmt.Sprintf(", %d failed", v.Claims.Failed)
	}
	lines = append(lines,
		fmt.Sprintf("  claims       %d released, %d expired%s, %d leaked", v.Claims.Released, v.Claims.Expired, failed, v.Claims.Leaked),
		fmt.Sprintf("  entities     %d stuck", v.Stuck),
		fmt.Sprintf("  consistency  %d violations", v.Broken),
		fmt.Sprintf("  old epoch    %d appends sent, %d refused, %d landed", v.Tried, v.Refused, v.Landed),
	)
	for _, e := range []Ending{v.Node, v.Runner} {
		if e.Kill != "" {
			lines = append(lines, fmt.Sprintf("  %-11s  the claim it left behind, %s epoch %d, is %s", e.Kill, e.Entity, e.Epoch, e.Status))
		}
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

// attempts reads "epoch 3 expired, epoch 4 handled it again".
func attempts(by []Ending) string {
	texts := make([]string, 0, len(by))
	for _, e := range by[:len(by)-1] {
		texts = append(texts, fmt.Sprintf("epoch %d %s", e.Epoch, e.Status))
	}
	return strings.Join(append(texts, fmt.Sprintf("epoch %d handled it again", by[len(by)-1].Epoch)), ", ")
}
