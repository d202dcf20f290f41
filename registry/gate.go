package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// gate is what is known of one host: how busy it is, whether it answers, and
// what it speaks. One slow host keeps its own callers waiting and nobody
// else's (TRUST R10).
type gate struct {
	slots chan struct{} // one per request in flight

	mu         sync.Mutex
	failures   int             // connections that failed in a row
	last       evidence.Reason // of the latest failure
	openUntil  time.Time       // no request before that
	probing    bool            // one request finds out whether the host is back
	plainUntil time.Time       // it speaks plain HTTP
}

// result is how a request ended, as far as the host is to blame.
type result uint8

const (
	noVerdict result = iota // the caller went away, or the fault is ours
	hostAnswered
	hostFailed
)

func newGate(perHost int) *gate { return &gate{slots: make(chan struct{}, perHost)} }

// enter waits for a slot and returns the function that gives it back. The
// error is a *evidence.Problem, or the context's.
func (g *gate) enter(ctx context.Context, o *Options) (leave func(result, evidence.Reason), err error) {
	queue, cancel := context.WithTimeout(ctx, o.RequestTimeout)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
	case <-queue.Done():
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return nil, &evidence.Problem{
			Reason: evidence.RegistryTimeout, Expected: fmt.Sprintf("a free one of %d connections within %s", o.PerHost, o.RequestTimeout), Got: "none",
		}
	}
	if err := g.admit(o); err != nil {
		<-g.slots
		return nil, err
	}
	return func(r result, reason evidence.Reason) {
		g.judge(o, r, reason)
		<-g.slots
	}, nil
}

// admit is the circuit breaker: closed it lets all pass, open none, and after
// a pause one probe.
func (g *gate) admit(o *Options) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures < o.BreakerFailures {
		return nil
	}
	if now := o.Clock(); now.Before(g.openUntil) || g.probing {
		return &evidence.Problem{
			Reason: g.last, Expected: "a host that answers",
			Got: fmt.Sprintf("%d failures in a row: not asked again for up to %s", g.failures, o.BreakerPause),
		}
	}
	g.probing = true
	return nil
}

func (g *gate) judge(o *Options, r result, reason evidence.Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probing = false
	switch r {
	case hostAnswered:
		g.failures = 0
	case hostFailed:
		g.failures++
		g.last = reason
		if g.failures >= o.BreakerFailures {
			g.openUntil = o.Clock().Add(o.BreakerPause)
		}
	case noVerdict:
	}
}

func (g *gate) speaksPlain(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.plainUntil)
}

func (g *gate) setPlain(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plainUntil = until
}
