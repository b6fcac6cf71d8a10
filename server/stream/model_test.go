package stream_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/wakelatch/wakelatch/server/stream"
)

// model is a stream that takes one append at a time.
type model struct {
	main      bool
	holder    stream.Holder
	closed    bool
	tail      stream.Offset
	seq       string
	producers map[string]stream.Producer
	ends      map[string]stream.Offset
	content   string
}

const modelType = "text/plain"

// append is the protocol, in the order in which a stream judges.
func (m *model) append(r stream.AppendRequest) (stream.Appended, error) {
	switch {
	case m.main && (r.Holder == nil || *r.Holder != m.holder):
		return stream.Appended{}, stream.ErrFenced
	case m.main && r.Close:
		return stream.Appended{}, stream.ErrForbidden
	}
	known, has := stream.Producer{}, false
	if r.Producer != nil {
		known, has = m.producers[r.Producer.ID]
		if has && r.Producer.Epoch == known.Epoch && r.Producer.Seq <= known.Seq && (m.closed || r.ContentType == modelType) {
			return stream.Appended{End: m.ends[known.ID], Duplicate: true, Closed: m.closed, ProducerSeq: known.Seq}, nil
		}
	}
	switch {
	case m.closed:
		return stream.Appended{}, &stream.ClosedError{Tail: m.tail}
	case r.ContentType != modelType:
		return stream.Appended{}, stream.ErrContentTypeMismatch
	}
	if r.Producer != nil {
		if err := m.admits(*r.Producer, known, has); err != nil {
			return stream.Appended{}, err
		}
	}
	if r.StreamSeq != "" && r.StreamSeq <= m.seq {
		return stream.Appended{}, stream.ErrStreamSeq
	}
	m.tail += stream.Offset(len(r.Body))
	m.content += string(r.Body)
	m.seq = max(m.seq, r.StreamSeq)
	m.closed = r.Close
	out := stream.Appended{End: m.tail, Closed: m.closed}
	if r.Producer != nil {
		m.producers[r.Producer.ID], m.ends[r.Producer.ID] = *r.Producer, m.tail
		out.ProducerSeq = r.Producer.Seq
	}
	return out, nil
}

func (m *model) admits(p, known stream.Producer, has bool) error {
	switch {
	case has && p.Epoch < known.Epoch:
		return &stream.ProducerStaleError{Epoch: known.Epoch}
	case has && p.Epoch > known.Epoch && p.Seq != 0:
		return &stream.InvalidError{Field: "Producer-Seq"}
	case has && p.Epoch == known.Epoch && p.Seq != known.Seq+1:
		return &stream.ProducerGapError{Expected: known.Seq + 1, Received: p.Seq}
	case !has && p.Seq != 0:
		return &stream.ProducerGapError{Expected: 0, Received: p.Seq}
	}
	return nil
}

// told is an error as far as the model has to say it.
func told(err error) string {
	if invalid, ok := errors.AsType[*stream.InvalidError](err); ok {
		return "invalid " + invalid.Field
	}
	return fmt.Sprint(err)
}

// Whatever is written together must come out as if it had been written one by one.
func TestBatchEqualsOneByOne(t *testing.T) {
	n := open(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		paths := []string{fmt.Sprintf("plain%d", round), fmt.Sprintf("demo/%d/main", round)}
		n.create(paths[0], modelType)
		n.main(paths[1], "w_1", 3)
		n.exec(`UPDATE wakelatch.streams SET content_type = $3 WHERE tenant_id = $1 AND path = $2`, tenant, paths[1], modelType)
		models := map[stream.Path]*model{}
		for i, p := range paths {
			models[stream.Path(p)] = &model{
				main: i == 1, holder: stream.Holder{Consumer: "w_1", Epoch: 3},
				producers: map[string]stream.Producer{}, ends: map[string]stream.Offset{},
			}
		}
		next := map[string]int64{}
		requests := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stream.AppendRequest { return drawRequest(t, paths, next) }), 1, 20).Draw(rt, "requests")

		order, out, errs, err := n.AppendTogether(t.Context(), requests)
		require.NoError(rt, err)
		for _, i := range order {
			want, wantErr := models[requests[i].Path].append(requests[i])
			require.Equal(rt, told(wantErr), told(errs[i]), "item %d of %v", i, order)
			require.Empty(rt, cmp.Diff(want, out[i]), "item %d of %v", i, order)
		}
		for path, m := range models {
			require.Equal(rt, m.content, n.content(string(path)))
			require.Equal(rt, m.tail, n.read(string(path), 0).Tail)
		}
	})
}

// drawRequest makes mostly what writers send: the next number, the right type, the current claim.
func drawRequest(t *rapid.T, paths []string, next map[string]int64) stream.AppendRequest {
	r := text(rapid.SampledFrom(paths).Draw(t, "path"), rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "body"))
	often := func(name string) bool { return rapid.IntRange(0, 5).Draw(t, name) > 0 }
	if !often("type") {
		r.ContentType = "text/html"
	}
	if r.Path.Kind() == stream.Main {
		r.Holder = &stream.Holder{Consumer: "w_1", Epoch: 3}
		if !often("holder") {
			r.Holder = rapid.SampledFrom([]*stream.Holder{nil, {Consumer: "w_1", Epoch: 2}, {Consumer: "w_2", Epoch: 3}}).Draw(t, "other")
		}
	}
	if rapid.Bool().Draw(t, "produced") {
		r.Producer = &stream.Producer{
			ID:    rapid.SampledFrom([]string{"p", "q"}).Draw(t, "producer"),
			Epoch: 1,
		}
		producer := string(r.Path) + r.Producer.ID
		r.Producer.Seq = next[producer]
		next[producer]++
		switch rapid.IntRange(0, 8).Draw(t, "number") {
		case 0:
			r.Producer.Epoch++
		case 1:
			r.Producer.Epoch = rapid.Int64Range(0, 2).Draw(t, "epoch")
			r.Producer.Seq = rapid.Int64Range(0, 3).Draw(t, "seq")
		}
	}
	if !often("stream seq") {
		r.StreamSeq = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "stream seq value")
	}
	r.Close = rapid.IntRange(0, 20).Draw(t, "close") == 20
	return r
}
