package demo

import (
	"context"
	"encoding/json"
	"net"
	"sync"
)

// desk is where agents report. An agent waits until handle returns, which is how the demo holds it where it is.
type desk struct {
	listener net.Listener
	handle   func(ctx context.Context, r report) (order, error)
}

// serve takes reports until ctx ends, and ends every agent's connection then.
func (d *desk) serve(ctx context.Context) {
	var agents sync.WaitGroup
	defer agents.Wait()
	defer context.AfterFunc(ctx, func() { _ = d.listener.Close() })()
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		agents.Go(func() { d.attend(ctx, conn) })
	}
}

// attend is one agent's connection. It ends with the agent, with the demo, or when handle fails.
func (d *desk) attend(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var r report
		if in.Decode(&r) != nil {
			return
		}
		told, err := d.handle(ctx, r)
		if err != nil {
			return
		}
		if err := out.Encode(told); err != nil {
			return
		}
	}
}
