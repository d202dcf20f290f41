package server

import (
	"context"
	"sync/atomic"
)

// slot is a place among the requests in flight. It is held by the request's
// handler and, while it runs, by the decision: one that outlives its deadline
// keeps its place, so that such decisions cannot pile up.
type slot struct {
	server  *Server
	holders atomic.Int32
}

// enter waits for a place until ctx ends.
func (s *Server) enter(ctx context.Context) (*slot, bool) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	s.metrics.inFlight.Inc()
	held := &slot{server: s}
	held.holders.Store(1)
	return held, true
}

func (h *slot) hold() { h.holders.Add(1) }

func (h *slot) leave() {
	if h.holders.Add(-1) > 0 {
		return
	}
	h.server.metrics.inFlight.Dec()
	<-h.server.slots
}
