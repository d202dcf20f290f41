package leader_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
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
	r.stop = kubetest.Run(t, func(ctx context.Context) {
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
	})
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
	return kubetest.Client(t, cluster.Config), cluster.Namespace(t, nil)
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

// TestLeaseOfAClockThatDiffers has a leader whose clock is a day off: while it
// renews, nobody else leads, and soon after it went silent somebody does, whatever
// time it wrote.
func TestLeaseOfAClockThatDiffers(t *testing.T) {
	for name, off := range map[string]time.Duration{"Behind": -24 * time.Hour, "Ahead": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			client, namespace := newClient(t)
			leases := client.Typed.CoordinationV1().Leases(namespace)
			lease, err := leases.Create(t.Context(), &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Name: leader.DefaultName},
				Spec: coordinationv1.LeaseSpec{
					HolderIdentity: new("other"), LeaseDurationSeconds: new(int32(3)), LeaseTransitions: new(int32(0)),
					AcquireTime: new(metav1.NewMicroTime(time.Now().Add(off))), RenewTime: new(metav1.NewMicroTime(time.Now().Add(off))),
				},
			}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var leaders atomic.Int32
			r := campaign(t, client, namespace, "waiting", &leaders)
			renewals := time.NewTicker(500 * time.Millisecond)
			defer renewals.Stop()
			for range 14 { // two Leases and some
				<-renewals.C
				lease.Spec.RenewTime = new(metav1.NewMicroTime(time.Now().Add(off)))
				if lease, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
					t.Fatalf("want the Lease left to who holds it: %v", err)
				}
				if r.terms.Load() != 0 {
					t.Fatal("want no second leader while the first renews")
				}
			}
			await(t, "it leads, since the other is silent", r.leading.Load)
		})
	}
}
