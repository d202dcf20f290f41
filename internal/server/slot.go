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
	release func() // what else is given back with the place; may be nil
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
	if h.release != nil {
		h.release()
	}
	h.server.metrics.inFlight.Dec()
	<-h.server.slots
}

// with gives release back together with the place. It must be called before a
// decision holds the place.
func (h *slot) with(release func()) { h.release = release }

// places bounds how many requests do, or hold, something costly at once.
type places chan struct{}

// take waits for a place until ctx ends, and returns how it is given back.
func (p places) take(ctx context.Context) (release func(), ok bool) {
	select {
	case p <- struct{}{}:
		return func() { <-p }, true
	case <-ctx.Done():
		return nil, false
	}
}

// try takes a place if one is free, and returns how it is given back.
func (p places) try() (release func(), ok bool) {
	select {
	case p <- struct{}{}:
		return func() { <-p }, true
	default:
		return nil, false
	}
}
