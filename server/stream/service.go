package stream

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wakelatch/wakelatch/server/batch"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// Options are what a Service needs. What is left zero takes the default.
type Options struct {
	Pool       *pgxpool.Pool         // required
	Hub        *Hub                  // required
	Registerer prometheus.Registerer // required
	Logger     *slog.Logger          // required

	LongPoll  time.Duration // how long a live read waits for news; 25 s
	RideOut   time.Duration // how long a database that is away is not seen by callers; 10 s
	PageBytes int64         // what one read returns at most, unless its first append is larger; 1 MiB

	// Unfenced lets an append land on a main stream whatever its writer's claim has become.
	Unfenced bool
}

func (o Options) withDefaults() Options {
	if o.LongPoll == 0 {
		o.LongPoll = 25 * time.Second
	}
	if o.RideOut == 0 {
		o.RideOut = 10 * time.Second
	}
	if o.PageBytes == 0 {
		o.PageBytes = 1 << 20
	}
	return o
}

// Service is the streams of one database. Its methods may be called from many goroutines.
type Service struct {
	Options
	queries *db.Queries
	metrics *metrics
	appends *batch.Batcher[appendItem, Appended]
}

// New makes a Service; Run does its appends.
func New(o Options) *Service {
	s := &Service{Options: o.withDefaults(), queries: db.New(), metrics: newMetrics(o.Registerer)}
	s.Logger = s.Logger.With("component", "stream")
	s.appends = batch.New(s.flush, batch.Options[appendItem]{
		Name:       "append",
		MaxItems:   maxBatchItems,
		Admit:      newAdmission,
		Key:        order,
		RideOut:    s.RideOut,
		Classify:   classify,
		Timeout:    flushTimeout,
		Registerer: s.Registerer,
	})
	return s
}

// Run flushes appends until ctx ends; then it answers what is queued.
func (s *Service) Run(ctx context.Context) error { return s.appends.Run(ctx) }

func classify(err error) batch.Class {
	switch {
	case pg.IsContention(err), movedUnlocked(err):
		return batch.Alone
	case pg.IsUnavailable(err):
		return batch.Transient
	}
	return batch.Fatal
}

// movedUnlocked is the error of a batch that met a stream which was made behind its locks and which somebody else has
// appended to since.
func movedUnlocked(err error) bool {
	name := pg.ConstraintName(err)
	return name == "streams_tail_positive" || name == "stream_messages_pkey"
}

// Key names a stream.
type Key struct {
	Tenant string
	Path   Path
}

// Info is what is known of a stream without reading it. Generation tells it from another stream that was at its path
// before.
type Info struct {
	ContentType string
	Tail        Offset
	Closed      bool
	Generation  int64
}

// Holder is the claim under which a main stream is written.
type Holder struct {
	Consumer string
	Epoch    int64
}

// Producer is one append of an idempotent producer.
type Producer struct {
	ID         string
	Epoch, Seq int64
}
