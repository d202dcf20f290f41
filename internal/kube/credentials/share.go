package credentials

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// reads bounds what is asked of the API server at once, in all and for each
// namespace: whoever may make workloads in one chooses how many Secrets they
// name, and the others' must not wait behind them (TRUST R10). It is safe for
// concurrent use.
type reads struct {
	all *semaphore.Weighted

	mu sync.Mutex
	of map[string]*share // of namespaces that somebody reads in
}

type share struct {
	slots *semaphore.Weighted
	users int // that hold or wait for a slot
}

func newReads() *reads {
	return &reads{all: semaphore.NewWeighted(maxReads), of: make(map[string]*share)}
}

// enter waits for a slot of the namespace and then for one of all, and returns the
// function that gives them back. The error is the context's.
func (r *reads) enter(ctx context.Context, namespace string) (leave func(), err error) {
	s := r.share(namespace)
	if err := s.slots.Acquire(ctx, 1); err != nil {
		r.done(namespace, s)
		return nil, err
	}
	if err := r.all.Acquire(ctx, 1); err != nil {
		s.slots.Release(1)
		r.done(namespace, s)
		return nil, err
	}
	return func() {
		r.all.Release(1)
		s.slots.Release(1)
		r.done(namespace, s)
	}, nil
}

func (r *reads) share(namespace string) *share {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, found := r.of[namespace]
	if !found {
		s = &share{slots: semaphore.NewWeighted(maxReadsOfOne)}
		r.of[namespace] = s
	}
	s.users++
	return s
}

// done forgets a namespace in which nobody reads any more.
func (r *reads) done(namespace string, s *share) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(r.of, namespace)
	}
}
