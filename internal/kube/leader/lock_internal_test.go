package leader

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// readOnly is a lock that may be read and not written.
type readOnly struct{ resourcelock.Interface }

func (readOnly) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	return &resourcelock.LeaderElectionRecord{}, nil, nil
}

func (readOnly) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	return errors.New("forbidden: cannot update leases")
}

// TestLeaseThatMayOnlyBeReadIsSaidOnce: reading it does not mean that all is well.
func TestLeaseThatMayOnlyBeReadIsSaidOnce(t *testing.T) {
	var log strings.Builder
	l := speak(readOnly{}, slog.New(slog.NewTextHandler(&log, nil)), "system/bonafide")
	for range 10 {
		if _, _, err := l.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.Update(t.Context(), resourcelock.LeaderElectionRecord{}) == nil {
			t.Fatal("want the error passed on, got none")
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "cannot update leases") || !strings.Contains(got, "system/bonafide") {
		t.Errorf("want one line that says which Lease and why, got\n%s", got)
	}
}
