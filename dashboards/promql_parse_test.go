package dashboards_test

import (
	"fmt"
	"slices"
	"strings"
)

// The part of PromQL that dashboards and rules here use, no more: what it does not know is an error. It is
// here because the parser of Prometheus brings several hundred modules with it.

// selector is one use of a metric, with everything around it that the house rules ask about.
type selector struct {
	metric  string
	labels  []string // that are matched
	ranged  bool     // has [5m]
	callers []string // functions and aggregations around it, the innermost first
	// groups are the groupings of the aggregations around it, the innermost first.
	groups []grouping
}

type grouping struct {
	op      string
	without bool
	labels  []string
}

// innermost is the aggregation nearest to the selector.
func (s selector) innermost() (grouping, bool) {
	if len(s.groups) == 0 {
		return grouping{}, false
	}
	return s.groups[0], true
}

func parse(expr string) (found []selector, err error) {
	tokens, err := tokenize(expr)
	if err != nil {
		return nil, err
	}
	p := &parser{expr: expr, tokens: tokens}
	defer func() {
		if failure, ok := recover().(parseError); ok {
			found, err = nil, failure
		}
	}()
	p.expression(0)
	if p.peek().kind != end {
		p.fail("the end")
	}
	return p.found, nil
}

type parseError string

func (e parseError) Error() string { return string(e) }

type parser struct {
	expr    string
	tokens  []token
	callers []string
	groups  []grouping
	found   []selector
}

var (
	aggregations = []string{"sum", "max", "min", "avg", "count", "topk", "bottomk", "quantile"}
	rangeCalls   = []string{"rate", "increase", "irate", "max_over_time", "min_over_time", "avg_over_time", "changes", "delta", "deriv"}
	plainCalls   = []string{"histogram_quantile", "vector", "absent", "time", "clamp_min", "clamp_max", "abs", "ceil", "floor", "round"}
	precedence   = map[string]int{
		"or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, "<": 3, ">": 3, "<=": 3, ">=": 3,
		"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 6,
	}
)

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != end {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) fail(want string) {
	panic(parseError(fmt.Sprintf("want %s, not %q, at %d of %s", want, p.peek().text, p.peek().at, p.expr)))
}

func (p *parser) take(text string) bool {
	if p.peek().text != text || p.peek().kind == quoted {
		return false
	}
	p.next()
	return true
}

func (p *parser) must(text string) {
	if !p.take(text) {
		p.fail(text)
	}
}

func (p *parser) mustKind(kind tokenKind, name string) string {
	if p.peek().kind != kind {
		p.fail(name)
	}
	return p.next().text
}

// expression reads operands joined by operators that bind more tightly than outside.
func (p *parser) expression(outside int) {
	p.operand()
	for {
		binds, ok := precedence[p.peek().text]
		if !ok || p.peek().kind == quoted || binds <= outside {
			return
		}
		p.next()
		p.take("bool")
		if p.take("on") || p.take("ignoring") {
			p.labelList()
			if p.take("group_left") || p.take("group_right") {
				p.labelList()
			}
		}
		p.expression(binds)
	}
}

func (p *parser) operand() {
	t := p.peek()
	switch {
	case p.take("-"), p.take("+"):
		p.operand()
	case p.take("("):
		p.expression(0)
		p.must(")")
	case t.kind == number:
		p.next()
	case t.kind == identifier && slices.Contains(aggregations, t.text):
		p.aggregation(p.next().text)
	case t.kind == identifier && p.tokens[1].text == "(":
		if !slices.Contains(rangeCalls, t.text) && !slices.Contains(plainCalls, t.text) {
			p.fail("a known function")
		}
		p.call(p.next().text)
	case t.kind == identifier:
		p.selector(p.next().text)
	default:
		p.fail("an operand")
	}
}

func (p *parser) aggregation(op string) {
	g := grouping{op: op}
	before := p.grouping(&g)
	// The grouping may follow the argument, so what was found inside learns of it afterwards.
	depth, first := len(p.groups), len(p.found)
	p.groups = append(p.groups, g)
	p.call(op)
	if !before && p.grouping(&g) {
		for i := first; i < len(p.found); i++ {
			groups := p.found[i].groups
			groups[len(groups)-1-depth] = g
		}
	}
	p.groups = p.groups[:depth]
}

func (p *parser) grouping(g *grouping) bool {
	switch {
	case p.take("without"):
		g.without = true
	case !p.take("by"):
		return false
	}
	g.labels = p.labelList()
	return true
}

func (p *parser) labelList() []string {
	labels := []string{}
	p.must("(")
	for !p.take(")") {
		labels = append(labels, p.mustKind(identifier, "a label"))
		if p.peek().text != ")" {
			p.must(",")
		}
	}
	return labels
}

func (p *parser) call(name string) {
	p.callers = append(p.callers, name)
	p.must("(")
	for !p.take(")") {
		p.expression(0)
		if p.peek().text != ")" {
			p.must(",")
		}
	}
	p.callers = p.callers[:len(p.callers)-1]
}

func (p *parser) selector(metric string) {
	s := selector{metric: metric, callers: slices.Clone(p.callers), groups: slices.Clone(p.groups)}
	slices.Reverse(s.callers)
	slices.Reverse(s.groups)
	if p.take("{") {
		for !p.take("}") {
			s.labels = append(s.labels, p.mustKind(identifier, "a label"))
			if !slices.Contains([]string{"=", "!=", "=~", "!~"}, p.peek().text) {
				p.fail("a matcher")
			}
			p.next()
			p.mustKind(quoted, "a string")
			if p.peek().text != "}" {
				p.must(",")
			}
		}
	}
	if p.take("[") {
		s.ranged = true
		p.mustKind(duration, "a duration")
		p.must("]")
	}
	if p.take("offset") {
		p.mustKind(duration, "a duration")
	}
	if wants := len(s.callers) > 0 && slices.Contains(rangeCalls, s.callers[0]); wants != s.ranged {
		p.fail("a range exactly inside " + strings.Join(rangeCalls, ", "))
	}
	p.found = append(p.found, s)
}
