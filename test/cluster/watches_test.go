package cluster_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

const (
	// dropPeriod is how often all watches end: before an API server's client
	// takes one for a watch that works.
	dropPeriod = 400 * time.Millisecond
	drops      = 25
	// inForce bounds how late a change may be that happens while watches are
	// dropped: a client waits longer each time before it begins one again.
	inForce = 30 * time.Second
)

// TestR18DroppedWatches has an API server drop all watches, over and over, while
// a key and a policy change. Both changes come into force and stay, nothing is
// admitted wrongly meanwhile, and the replicas are ready all the while.
func TestR18DroppedWatches(t *testing.T) {
	t.Parallel()
	i := prepare(t)
	proxy := i.StartWatchProxy(t)
	i.kubeconfig = proxy.Kubeconfig
	i.serve(t, 2)
	i.awaitRegistered(t, i.namespace)
	first, second := rig.NewKey(t), rig.NewKey(t)
	old := rig.Push(t, i.registry, "acme/app:old", first).Reference.String()
	renewed := rig.Push(t, i.registry, "acme/app:new", second).Reference.String()
	unsigned := rig.Push(t, i.registry, "acme/app:unsigned").Reference.String()
	late := rig.Push(t, i.registry, "late/app:unsigned").Reference.String()
	i.secret(t, "release", first)
	wide := i.policy("release", "release")
	i.ready(t, i.Apply(t, strings.Replace(wide, i.registry.Host()+"/**", i.registry.Host()+"/acme/**", 1))[0])
	i.each(t, func() {
		i.becomes(t, old, "")
		i.becomes(t, renewed, "release")
		i.becomes(t, late, "")
	})

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	dropped := make(chan int, drops)
	running.Go(func() { dropAll(ctx, proxy, dropped) })
	running.Go(func() { i.staysReady(ctx, t) })
	running.Go(func() { i.staysRefused(ctx, t, unsigned) })
	total := 0
	for range drops / 2 {
		total += <-dropped
	}
	changed := time.Now()
	i.replaceSecret(t, "release", second)
	i.Apply(t, wide)
	i.each(t, func() {
		i.becomes(t, old, "release")
		i.becomes(t, renewed, "")
		i.becomes(t, late, "release")
	})
	took := time.Since(changed)
	if took > inForce {
		t.Errorf("want the changes in force within %s, got %s", inForce, took)
	}
	for n := range dropped { // until the last
		total += n
		i.each(t, func() {
			if i.tried(t.Context(), i.namespace, old) == nil {
				t.Errorf("want %s refused for good, got it admitted", old)
			}
			if err := i.tried(t.Context(), i.namespace, renewed); err != nil {
				t.Errorf("want %s admitted from now on, got: %v", renewed, err)
			}
		})
	}
	stop()
	running.Wait()
	if total == 0 {
		t.Error("want watches to drop, got none: the test shows nothing")
	}
	t.Logf("figures: %d watches dropped within %s; a key and a policy that changed meanwhile were in force at both replicas within %s",
		total, drops*dropPeriod, took.Round(time.Millisecond))
}

// dropAll drops all watches, again and again, says how many, and then closes the
// channel.
func dropAll(ctx context.Context, proxy *rig.WatchProxy, dropped chan<- int) {
	defer close(dropped)
	ticker := time.NewTicker(dropPeriod)
	defer ticker.Stop()
	for range drops {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			dropped <- proxy.Drop()
		}
	}
}

// errGoesOn keeps a poll going until its context ends.
var errGoesOn = errors.New("not over yet")

// staysReady asks every replica all the while whether it is ready.
func (i *installation) staysReady(ctx context.Context, t *testing.T) {
	_ = rig.Poll(ctx, func(ctx context.Context) error { // ends with its context
		for _, replica := range i.replicas {
			status, text, err := fetch(ctx, replica, "/readyz")
			if ctx.Err() == nil && (err != nil || status != http.StatusOK) {
				t.Errorf("want the replica ready all the while, got %d %s, %v", status, text, err)
				return nil
			}
		}
		return errGoesOn
	})
}

// staysRefused tries an image all the while.
func (i *installation) staysRefused(ctx context.Context, t *testing.T, image string) {
	_ = rig.Poll(ctx, func(ctx context.Context) error { // ends with its context
		if i.tried(ctx, i.namespace, image) == nil {
			t.Errorf("want %s refused all the while, got it admitted", image)
			return nil
		}
		return errGoesOn
	})
}
