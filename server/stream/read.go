package stream

import (
	"context"
	"errors"
	"time"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// maxPageAppends bounds a page of tiny appends, whose rows cost more than their bytes.
const maxPageAppends = 10_000

// ReadRequest asks for what a stream holds after From.
type ReadRequest struct {
	Key
	From Offset
	// Live makes a read that finds nothing wait for the next append.
	Live bool
}

// Append is one append as it is stored.
type Append struct {
	End         Offset
	Body, Marks []byte
}

// Page is what a read found: whole appends, of the stream as it was then.
type Page struct {
	Info
	Appends []Append
	// Next is where the next read begins: the end of the last append here, or the tail.
	Next Offset
	// UpToDate means that Next is the tail.
	UpToDate bool
	// TimedOut means that a live read waited and nothing came.
	TimedOut bool
}

// Read returns a page of the appends that end after req.From: as many as fit Options.PageBytes, at least
// one if there is one. From may be any number: one beyond the tail waits like the tail.
func (s *Service) Read(ctx context.Context, req ReadRequest) (*Page, error) {
	if req.Live {
		s.metrics.reads.WithLabelValues(modeLongPoll).Inc()
		return s.poll(ctx, req)
	}
	s.metrics.reads.WithLabelValues(modeCatchUp).Inc()
	return s.page(ctx, req.Key, req.From)
}

// poll subscribes before it looks. It ends at once when ctx does, and then as it ends when its time is up,
// provided that it has looked at all.
func (s *Service) poll(ctx context.Context, req ReadRequest) (*Page, error) {
	watch := s.Hub.WatchStream(req.Tenant, string(req.Path))
	defer watch.Close()
	s.metrics.polls.Inc()
	defer s.metrics.polls.Dec()
	timer := time.NewTimer(s.LongPoll)
	defer timer.Stop()

	var last *Page
	for from := req.From; ; {
		page, err := s.page(ctx, req.Key, from)
		if err != nil {
			if last != nil && errors.Is(err, ctx.Err()) {
				return last, nil
			}
			return nil, err
		}
		if from == Now {
			from = page.Tail
		}
		if len(page.Appends) > 0 || page.Closed {
			return page, nil
		}
		page.TimedOut = true
		if last != nil && last.Generation != page.Generation {
			return page, nil
		}
		last = page
		watch.Saw(number(int64(page.Tail), page.Closed))
		select {
		case <-watch.C():
		case <-timer.C:
			return page, nil
		case <-ctx.Done():
			return page, nil
		}
	}
}

// page looks once. The tail is read before the appends: what lands in between is returned too, and then
// Next says so.
func (s *Service) page(ctx context.Context, key Key, from Offset) (*Page, error) {
	var rows []db.ReadStreamRow
	var found []db.GetStreamRow
	err := s.rideOut(ctx, func(ctx context.Context) error {
		var p pg.Pipeline
		s.get(&p, key, &found)
		if from != Now {
			after := from.position()
			pg.Many(&p, &rows, func(ctx context.Context, conn pg.Conn) ([]db.ReadStreamRow, error) {
				return s.queries.ReadStream(ctx, conn, db.ReadStreamParams{
					TenantID: key.Tenant, Path: string(key.Path),
					After: after, PageEnd: after + s.PageBytes, PageAppends: maxPageAppends,
				})
			})
		}
		return p.Run(ctx, s.Pool)
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, ErrNotFound
	}
	page := &Page{Info: info(found[0])}
	page.Next = page.Tail
	for _, r := range rows {
		page.Appends = append(page.Appends, Append{End: Offset(r.EndOffset), Body: r.Body, Marks: r.OffsetMarks})
		page.Next = Offset(r.EndOffset)
	}
	page.Tail = max(page.Tail, page.Next)
	page.UpToDate = page.Next == page.Tail
	return page, nil
}

func (s *Service) get(p *pg.Pipeline, key Key, into *[]db.GetStreamRow) {
	pg.Many(p, into, func(ctx context.Context, conn pg.Conn) ([]db.GetStreamRow, error) {
		return s.queries.GetStream(ctx, conn, db.GetStreamParams{TenantID: key.Tenant, Path: string(key.Path)})
	})
}

func info(row db.GetStreamRow) Info {
	return Info{ContentType: row.ContentType, Tail: Offset(row.Tail), Closed: row.Closed, Generation: row.Generation}
}
