package stream

import (
	"context"
	"fmt"

	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// DefaultContentType is that of a stream created without one.
const DefaultContentType = "application/octet-stream"

// CreateRequest asks for a plain stream.
type CreateRequest struct {
	Key
	ContentType string
	// Body, if not empty, is its first append.
	Body []byte
	// Closed makes a stream that never takes an append.
	Closed bool
}

// Created is a stream and whether this request made it.
type Created struct {
	Info
	New bool
}

// Create makes a plain stream, or finds that it is there already, as asked for: whether its content is what the request
// brings is not compared.
func (s *Service) Create(ctx context.Context, req CreateRequest) (Created, error) {
	if req.Path.Kind() != Plain {
		return Created{}, ErrForbidden
	}
	if req.ContentType == "" {
		req.ContentType = DefaultContentType
	}
	if err := checkContentType(req.ContentType); err != nil {
		return Created{}, err
	}
	var message Message
	if len(req.Body) > 0 {
		var err error
		if message, err = newMessage(req.ContentType, req.Body); err != nil {
			return Created{}, err
		}
	}
	made, found, err := s.create(ctx, req, message)
	switch {
	case err != nil:
		return Created{}, err
	case len(found) == 0:
		return Created{}, fmt.Errorf("create %q: it was deleted at the same time: %w", req.Path, ErrNotFound)
	}
	out := Created{Info: info(found[0]), New: len(made) > 0}
	if !out.New && (mediaType(out.ContentType) != mediaType(req.ContentType) || out.Closed != req.Closed) {
		return Created{}, ErrExists
	}
	if out.New {
		s.Hub.streamChanged(req.Tenant, string(req.Path), number(int64(out.Tail), out.Closed))
	}
	return out, nil
}

func (s *Service) create(ctx context.Context, req CreateRequest, m Message) (made []int64, found []db.GetStreamRow, err error) {
	err = s.rideOut(ctx, func(ctx context.Context) error {
		var p pg.Pipeline
		pg.Many(&p, &made, func(ctx context.Context, conn pg.Conn) ([]int64, error) {
			return s.queries.CreateStream(ctx, conn, db.CreateStreamParams{
				TenantID: req.Tenant, Path: string(req.Path), ContentType: req.ContentType,
				Size: m.Size(), Closed: req.Closed, Body: m.Body, Marks: m.Marks,
			})
		})
		s.get(&p, req.Key, &found)
		return p.Run(ctx, s.Pool)
	})
	return made, found, err
}
