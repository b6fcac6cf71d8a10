package stream

import (
	"context"

	"github.com/wakelatch/wakelatch/server/batch"
)

// Classify is what the batcher makes of a flush's error.
func Classify(err error) batch.Class { return classify(err) }

// AppendTogether writes requests in as few batches as the admission allows, as the batcher would if all
// had arrived at once, and says in which order that was.
func (s *Service) AppendTogether(ctx context.Context, requests []AppendRequest) (written []int, out []Appended, errs []error, err error) {
	out, errs = make([]Appended, len(requests)), make([]error, len(requests))
	waiting := make([]int, len(requests))
	items := make([]appendItem, len(requests))
	for i, r := range requests {
		waiting[i] = i
		if items[i], err = newItem(r); err != nil {
			return nil, nil, nil, err
		}
	}
	for len(waiting) > 0 {
		admit := newAdmission()
		passed := map[string]bool{}
		var taken, left []int
		var calls []batch.Call[appendItem]
		for _, i := range waiting {
			if passed[order(items[i])] || !admit(items[i]) {
				passed[order(items[i])] = true
				left = append(left, i)
				continue
			}
			taken = append(taken, i)
			calls = append(calls, batch.Call[appendItem]{In: items[i]})
		}
		results, err := s.flush(ctx, calls)
		if err != nil {
			return nil, nil, nil, err
		}
		for n, i := range taken {
			out[i], errs[i] = results[n].Out, results[n].Err
		}
		written = append(written, taken...)
		waiting = left
	}
	return written, out, errs, nil
}

// Seen says whether somebody waits for the stream and has looked at it.
func (h *Hub) Seen(tenant, path string) bool {
	h.streams.mu.Lock()
	defer h.streams.mu.Unlock()
	s := h.streams.known[topicKey{tenant, path}]
	return s != nil && s.number != unknown
}
