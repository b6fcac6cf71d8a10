package demo

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// watch shows how it goes until ctx ends.
func (s *show) watch(ctx context.Context, plot *script) {
	ticker := time.NewTicker(paintEvery)
	defer ticker.Stop()
	for {
		story, err := plot.rows.story(ctx)
		if err == nil {
			s.Screen.Show(plot.board(time.Since(s.begun), story))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// known is a copy of the facts as they are now.
func (s *script) known() Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.facts
	f.Sent = maps.Clone(f.Sent)
	return f
}

// over says whether every fault is.
func (s *script) over() bool {
	select {
	case <-s.finished:
		return true
	default:
		return false
	}
}

func (s *script) board(elapsed time.Duration, story Story) Board {
	facts := s.known()
	v := Judge(story, facts)
	b := Board{Elapsed: elapsed, Sent: v.Sent, Handled: v.Once + len(v.Again), Active: v.Claims.Leaked, Claims: v.Claims}
	for i, m := range s.nodes {
		row := m.row()
		row.Work = fmt.Sprintf("%d answers", s.balancer.Answered(i))
		b.Nodes = append(b.Nodes, row)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.runners {
		row := m.row()
		row.Work = fmt.Sprintf("%d wakes", s.wakes[m.name])
		b.Runners = append(b.Runners, row)
	}
	return b
}
