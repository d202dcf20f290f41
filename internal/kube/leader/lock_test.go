package leader_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/leader"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// lines is a log to look into while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestReplicaSaysThatItMayNotHaveTheLease: it waits, and not in silence.
func TestReplicaSaysThatItMayNotHaveTheLease(t *testing.T) {
	cluster := shared.Cluster(t)
	client, namespace := kubetest.Client(t, cluster.ConfigFor(t, "alice")), cluster.Namespace(t, nil)
	var log lines
	stop := kubetest.Run(t, func(ctx context.Context) {
		err := leader.Run(ctx, leader.Options{
			Client: client, Namespace: namespace, Identity: "alice", Log: slog.New(slog.NewTextHandler(&log, nil)),
			Lead: func(context.Context) { t.Error("want no leader without rights, got one") },
		})
		if err != nil {
			t.Error(err)
		}
	})
	defer stop()
	rig.Eventually(t, "the log says what is missing", func(context.Context) error {
		if !strings.Contains(log.String(), "cannot get resource") {
			return errors.New("not yet")
		}
		return nil
	})
}
