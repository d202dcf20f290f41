package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
)

// flights lets callers that want the same thing at the same time share one
// attempt at it. A flight belongs to nobody: a caller that gives up does not
// end it for the others (TRUST R38); it ends early only when all have left. The
// zero value is ready.
type flights[K comparable, V any] struct {
	mu    sync.Mutex
	under map[K]*flight[V]
}

type flight[V any] struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int // guarded by flights.mu
	value   V
	err     error
}

// do returns what fly returns, from a flight under way or a new one, or a
// Problem when ctx ends first.
func (f *flights[K, V]) do(ctx context.Context, key K, fly func(context.Context) (V, error)) (V, error) {
	var zero V
	if err := ctx.Err(); err != nil {
		return zero, gaveUp(ctx)
	}
	shared := f.board(ctx, key, fly)
	defer f.leave(key, shared)
	select {
	case <-shared.done:
		return shared.value, shared.err
	case <-ctx.Done():
		return zero, gaveUp(ctx)
	}
}

func (f *flights[K, V]) board(ctx context.Context, key K, fly func(context.Context) (V, error)) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if shared, found := f.under[key]; found {
		shared.waiting++
		return shared
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
	shared := &flight[V]{done: make(chan struct{}), cancel: cancel, waiting: 1}
	if f.under == nil {
		f.under = map[K]*flight[V]{}
	}
	f.under[key] = shared
	go func() {
		defer cancel()
		shared.value, shared.err = caught(own, fly)
		f.remove(key, shared)
		close(shared.done)
	}()
	return shared
}

// caught turns a panic into an error: the goroutine is not the request's, whose
// own guard would not catch it (TRUST R48).
func caught[V any](ctx context.Context, fly func(context.Context) (V, error)) (value V, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &evidence.Problem{Reason: evidence.Internal, Err: fmt.Errorf("panic: %v", r)}
		}
	}()
	return fly(ctx)
}

func (f *flights[K, V]) leave(key K, shared *flight[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if shared.waiting--; shared.waiting > 0 {
		return
	}
	if f.under[key] == shared { // the next caller must not board a flight that is being called off
		delete(f.under, key)
	}
	shared.cancel()
}

func (f *flights[K, V]) remove(key K, shared *flight[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.under[key] == shared {
		delete(f.under, key)
	}
}

// gaveUp says why a caller did not wait any longer.
func gaveUp(ctx context.Context) *evidence.Problem {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &evidence.Problem{Reason: evidence.DeadlineExceeded, Expected: "an answer before the deadline", Got: "none yet", Err: ctx.Err()}
	}
	return &evidence.Problem{Reason: evidence.Cancelled, Expected: "a caller that waits", Got: "one that went away", Err: ctx.Err()}
}
