package leader

import (
	"context"
	"log/slog"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// spoken is a lock that says in the log what the API server refuses, once, and
// when that is over: the elector tries for ever, and a replica that may not have
// the Lease would otherwise wait in silence.
type spoken struct {
	resourcelock.Interface

	read, write *kube.Faults // apart: who may read it need not be let write
}

func speak(l resourcelock.Interface, log *slog.Logger, name string) *spoken {
	log = log.With("lease", name)
	return &spoken{
		Interface: l,
		read:      &kube.Faults{Log: log, Duty: "read the Lease"},
		write:     &kube.Faults{Log: log, Duty: "write the Lease; without a leader nothing is registered, audited or written"},
	}
}

// Get implements [resourcelock.Interface].
func (l *spoken) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if apierrors.IsNotFound(err) { // Create follows, and says the rest
		note(ctx, l.read, nil)
	} else {
		note(ctx, l.read, err)
	}
	return record, raw, err
}

// Create implements [resourcelock.Interface].
func (l *spoken) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Create(ctx, record)
	note(ctx, l.write, err)
	return err
}

// Update implements [resourcelock.Interface].
func (l *spoken) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Update(ctx, record)
	note(ctx, l.write, err)
	return err
}

// note takes losing for no trouble.
func note(ctx context.Context, faults *kube.Faults, err error) {
	if ctx.Err() != nil {
		return
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil
	}
	faults.Note(ctx, err)
}
