package leader

import (
	"context"
	"log/slog"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// spoken is a lock that says in the log what the API server refuses, once, and
// when that is over: the elector tries for ever, and a replica that may not have
// the Lease would otherwise wait in silence.
type spoken struct {
	resourcelock.Interface

	log  *slog.Logger
	name string // of the Lease

	mu   sync.Mutex
	last string // what was said; empty: nothing is wrong
}

// Get implements [resourcelock.Interface].
func (l *spoken) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if !apierrors.IsNotFound(err) { // Create follows, and says the rest
		l.note(ctx, err)
	}
	return record, raw, err
}

// Create implements [resourcelock.Interface].
func (l *spoken) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Create(ctx, record)
	l.note(ctx, err)
	return err
}

// Update implements [resourcelock.Interface].
func (l *spoken) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Update(ctx, record)
	l.note(ctx, err)
	return err
}

func (l *spoken) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	text := ""
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) { // those are of losing, which is no trouble
		text = err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == l.last {
		return
	}
	l.last = text
	if text == "" {
		l.log.InfoContext(ctx, "the Lease is within reach again", "lease", l.name)
		return
	}
	l.log.ErrorContext(ctx, "cannot have the Lease; without a leader nothing is registered, audited or written", "lease", l.name, "error", text)
}
