package leader_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/leader"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// A replica campaigns until it is stopped.
type replica struct {
	leading atomic.Bool
	terms   atomic.Int32
	stop    func()
}

func campaign(t *testing.T, client *kube.Client, namespace, identity string, leaders *atomic.Int32) *replica {
	t.Helper()
	r := &replica{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := leader.Run(ctx, leader.Options{
			Client: client, Namespace: namespace, Identity: identity, Log: slog.New(slog.DiscardHandler), Lease: 3 * time.Second,
			Lead: func(ctx context.Context) {
				if n := leaders.Add(1); n != 1 {
					t.Errorf("want one leader, got %d", n)
				}
				r.terms.Add(1)
				r.leading.Store(true)
				<-ctx.Done()
				r.leading.Store(false)
				leaders.Add(-1)
			},
		})
		if err != nil {
			t.Error(err)
		}
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(r.stop)
	return r
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	rig.Eventually(t, what, func(context.Context) error {
		if !condition() {
			return errors.New("not yet")
		}
		return nil
	})
}

func newClient(t *testing.T) (*kube.Client, string) {
	t.Helper()
	cluster := shared.Cluster(t)
	client, err := kube.New(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client, cluster.Namespace(t, nil)
}

func TestLeaderHandsOver(t *testing.T) {
	client, namespace := newClient(t)
	var leaders atomic.Int32
	first := campaign(t, client, namespace, "first", &leaders)
	await(t, "the first leads", first.leading.Load)
	second := campaign(t, client, namespace, "second", &leaders)
	first.stop()
	if first.leading.Load() {
		t.Error("want Lead to have returned before Run did")
	}
	lease, err := client.Typed.CoordinationV1().Leases(namespace).Get(t.Context(), leader.DefaultName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder == "first" {
		t.Error("want the Lease given back")
	}
	await(t, "the second leads", second.leading.Load)
}

func TestLeaderThatLosesTheLeaseStopsAndCampaignsAgain(t *testing.T) {
	client, namespace := newClient(t)
	var leaders atomic.Int32
	r := campaign(t, client, namespace, "only", &leaders)
	await(t, "it leads", r.leading.Load)
	rig.Eventually(t, "another takes the Lease", func(ctx context.Context) error {
		leases := client.Typed.CoordinationV1().Leases(namespace)
		lease, err := leases.Get(ctx, leader.DefaultName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		lease.Spec.HolderIdentity = new("other")
		lease.Spec.RenewTime = new(metav1.NewMicroTime(time.Now()))
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		return err
	})
	await(t, "it stops", func() bool { return !r.leading.Load() })
	await(t, "it leads again, since the other is silent", func() bool { return r.leading.Load() && r.terms.Load() == 2 })
}

func TestOptionsAreChecked(t *testing.T) {
	client, namespace := newClient(t)
	good := leader.Options{Client: client, Namespace: namespace, Identity: "a", Log: slog.New(slog.DiscardHandler), Lead: func(context.Context) {}}
	cases := map[string]func(*leader.Options){
		"NoClient":   func(o *leader.Options) { o.Client = nil },
		"NoIdentity": func(o *leader.Options) { o.Identity = "" },
		"ShortLease": func(o *leader.Options) { o.Lease = time.Second },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			o := good
			change(&o)
			if err := leader.Run(t.Context(), o); err == nil {
				t.Error("want an error")
			}
		})
	}
}
