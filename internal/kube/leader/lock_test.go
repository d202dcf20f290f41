package leader_test

import (
	"context"
	"errors"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/leader"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestReplicaSaysThatItMayNotHaveTheLease: it waits, and not in silence.
func TestReplicaSaysThatItMayNotHaveTheLease(t *testing.T) {
	cluster := shared.Cluster(t)
	client, namespace := kubetest.Client(t, cluster.ConfigFor(t, "alice")), cluster.Namespace(t, nil)
	var log kubetest.Journal
	stop := kubetest.Run(t, func(ctx context.Context) {
		err := leader.Run(ctx, leader.Options{
			Client: client, Namespace: namespace, Identity: "alice", Log: log.Log(),
			Lead: func(context.Context) { t.Error("want no leader without rights, got one") },
		})
		if err != nil {
			t.Error(err)
		}
	})
	defer stop()
	rig.Eventually(t, "the log says what is missing", func(context.Context) error {
		if log.Count("cannot get resource") == 0 {
			return errors.New("not yet")
		}
		return nil
	})
}
