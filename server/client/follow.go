package client

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	beatInterval  = 30 * time.Second // between two heartbeats of a runner
	beatGap       = time.Second      // at least, when its offset changed
	reportTimeout = 5 * time.Second
)

// position is how far the wake stream was read.
type position struct {
	mu      sync.Mutex
	offset  string
	changed chan struct{} // holds one token while there is a change that was not looked at
}

func newPosition() *position { return &position{offset: Beginning, changed: make(chan struct{}, 1)} }

func (p *position) set(offset string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if offset == "" || offset == p.offset {
		return
	}
	p.offset = offset
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *position) get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.offset
}

// follow reads the wake stream until ctx ends, and starts each wake once there is a slot for it. A page
// counts as read when its last wake has been started: one that is lost on the way comes again, because
// nobody claimed it.
func (r *Runner) follow(ctx context.Context, slots chan<- struct{}, start func(wakeEvent)) error {
	path := "/runners/" + r.o.ID + "/wake"
	var page Page
	var wait backoff
	for ctx.Err() == nil {
		next, err := r.look(ctx, path, page)
		if err != nil {
			page = Page{}
			if ctx.Err() == nil {
				r.log.WarnContext(ctx, "wake stream cannot be read; it is tried again", "error", err)
			}
			if !pause(ctx, wait.next(err)) || !orphaned(err) {
				continue
			}
			if err := r.register(ctx); err != nil {
				return err
			}
			continue
		}
		page, wait = next, backoff{}
		for _, e := range wakeEvents(page) {
			select {
			case slots <- struct{}{}:
				start(e)
			case <-ctx.Done():
				return nil
			}
		}
		r.read.set(page.Next)
	}
	return nil
}

// look reads on, and waits for news once the last page was up to date.
func (r *Runner) look(ctx context.Context, path string, last Page) (Page, error) {
	read := r.client.read(path, url.Values{"offset": {r.read.get()}})
	if last.UpToDate {
		read = r.client.poll(path, r.read.get(), last.Cursor)
	}
	answer, err := r.client.try(ctx, read)
	if err != nil {
		return Page{}, err
	}
	return readPage(answer)
}

// orphaned says whether a node answers and yet has no wake stream for the runner: it may have been deleted,
// or the database replaced. Then it must register once more.
func orphaned(err error) bool { return hasCode(err, "WAKE_STREAM_UNAVAILABLE") || !temporary(err) }

// beat reports that the runner lives and how far it has read, until ctx ends.
func (r *Runner) beat(ctx context.Context) {
	for {
		r.report(ctx)
		if !pause(ctx, beatGap) {
			return
		}
		timer := time.NewTimer(beatInterval - beatGap)
		select {
		case <-timer.C:
		case <-r.read.changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// report sends one heartbeat. One that is lost costs nothing: the next is on its way.
func (r *Runner) report(ctx context.Context) {
	beat, err := r.client.runnerHeartbeat(r.o.ID, r.read.get())
	if err == nil {
		beat.bound = reportTimeout
		_, err = r.client.try(ctx, beat)
	}
	if err != nil && ctx.Err() == nil && !hasStatus(err, http.StatusNotFound) {
		r.log.WarnContext(ctx, "runner heartbeat failed; the next one tries again", "error", err)
	}
}
