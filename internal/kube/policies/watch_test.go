package policies_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// clock is the time, and what was added to it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }
func (c *clock) use(o *policies.Options)  { o.Now = c.now }
func denyList(name, image string) string {
	return "apiVersion: bonafide.dev/v1alpha1\nkind: ImageDenyList\nmetadata: {name: " + name + "}\nspec: {images: [" + image + "], reason: a test}\n"
}

// never fails the test once a set breaks a condition.
func never(t *testing.T, condition func(policies.Set) error) func(*policies.Options) {
	t.Helper()
	return func(o *policies.Options) {
		changed := o.Changed
		o.Changed = func(s policies.Set) {
			if err := condition(s); err != nil {
				t.Error(err)
			}
			changed(s)
		}
	}
}

// TestAPIServerDropsWatches: watches that end at once, and then none at all,
// lose no change and forget nothing. The API server is not asked without rest.
func TestAPIServerDropsWatches(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	namespace := c.Namespace(t, nil)
	c.Apply(t, secret(namespace, "release", keyA), clusterPolicy("stays", pem(keyA)), clusterPolicy("keyed", secretRef(namespace, "release")), clusterPolicy("turns", pem(keyA)))
	g := newGate(t, c, cut(200*time.Millisecond))
	_, seen := source(t, g.config, never(t, func(s policies.Set) error {
		for _, name := range []string{"stays", "keyed", "turns"} {
			if signer(s, name) == "" {
				return fmt.Errorf("expected no set without %s, got one", name)
			}
		}
		return nil
	}))
	began := time.Now()
	set := seen.await(t, "the first set", is("keyed", true, inForce))
	for i, key := range []string{keyB, keyA, keyB} {
		before := signer(set, "turns")
		c.Apply(t, clusterPolicy("turns", pem(key)), denyList(fmt.Sprint("stop", i), "ghcr.io/acme/bad"))
		set = seen.await(t, "a change while watches end", func(s policies.Set) error {
			if signer(s, "turns") == before {
				return errSame
			}
			return is(fmt.Sprint("stop", i), true, inForce)(s)
		})
	}
	requests, things := g.asked()
	t.Logf("%d requests for %d things in %s", requests, things, time.Since(began))
	if most := things * (6 + 3*int(time.Since(began).Seconds())); requests > most {
		t.Errorf("expected at most %d requests for %d things in %s, got %d", most, things, time.Since(began), requests)
	}

	before := signer(set, "keyed")
	g.set(refuse)
	refusedFrom, _ := g.asked()
	began = time.Now()
	if _, err := c.Client.CoreV1().Secrets(namespace).Patch(t.Context(), "release", types.MergePatchType,
		[]byte(`{"stringData": {"cosign.pub": `+quoted(keyB)+`}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	deny := schema.GroupVersionResource{Group: "bonafide.dev", Version: "v1alpha1", Resource: "imagedenylists"}
	if err := c.Dynamic.Resource(deny).Delete(t.Context(), "stop0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Apply(t, denyList("meanwhile", "ghcr.io/acme/worse"))
	rig.Eventually(t, "requests that are refused", func(context.Context) error {
		if now, _ := g.asked(); now < refusedFrom+2*things {
			return fmt.Errorf("expected %d, got %d", 2*things, now-refusedFrom)
		}
		return nil
	})
	if requests, _ = g.asked(); requests-refusedFrom > things*(6+3*int(time.Since(began).Seconds())) {
		t.Errorf("expected the API server to be left alone, got %d requests in %s", requests-refusedFrom, time.Since(began))
	}
	g.set(passOn)
	seen.await(t, "what happened meanwhile", func(s policies.Set) error {
		if signer(s, "keyed") == before {
			return errSame
		}
		return errors.Join(is("meanwhile", true, inForce)(s), isGone("stop0")(s))
	})
}

// TestSilentWatchIsBegunAnew: a connection that stays open and leads nowhere does
// not hide changes for ever.
func TestSilentWatchIsBegunAnew(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	g := newGate(t, c, passOn)
	var at clock
	_, seen := source(t, g.config, at.use)
	seen.await(t, "the first set", func(policies.Set) error { return nil })
	g.set(silence)
	_, things := g.asked()
	from, _ := g.asked()
	rig.Eventually(t, "watches that are silent", func(context.Context) error {
		if now, _ := g.asked(); now < from+things {
			return fmt.Errorf("expected %d, got %d", things, now-from)
		}
		return nil
	})
	c.Apply(t, denyList("unseen", "ghcr.io/acme/bad"))
	g.mu.Lock()
	g.treat = passOn // for those that begin from now on
	g.mu.Unlock()
	at.advance(4 * time.Minute)
	seen.await(t, "the change", is("unseen", true, inForce))
}

// TestR18OldPoliciesStayAndTheLogSaysSo: a replica that hears nothing keeps what
// it knows, and says that it is old.
func TestR18OldPoliciesStayAndTheLogSaysSo(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	c.Apply(t, clusterPolicy("known", pem(keyA)))
	g := newGate(t, c, passOn)
	var at clock
	log := make(chan string, 1000)
	s, seen := source(t, g.config, func(o *policies.Options) {
		at.use(o)
		o.Log = logInto(log)
	})
	seen.await(t, "the policy", is("known", true, inForce))
	rig.Eventually(t, "a time", func(context.Context) error {
		if synced := s.Health().Synced; synced.IsZero() || at.now().Sub(synced) > time.Minute {
			return fmt.Errorf("expected what is known to be of now, got of %s", synced)
		}
		return nil
	})
	g.set(unavailable)
	before := s.Health().Synced
	at.advance(6 * time.Minute)
	expectLine(t, log, "WARN", "what is known of the cluster's policies is old")
	if got := s.Health().Synced; got.Before(before) || at.now().Sub(got) < 5*time.Minute {
		t.Errorf("expected what is known to be as old as it is, got of %s", got)
	}
	if set, _, _ := seen.now(); signer(*set, "known") == "" {
		t.Error("expected the policy to stay in force, got none")
	}
	rig.Eventually(t, "kinds that cannot be read", func(context.Context) error {
		if len(s.Health().Unreadable) == 0 {
			return errors.New("expected some, got none")
		}
		return nil
	})
	g.set(passOn)
	expectLine(t, log, "INFO", "is of now again")
	rig.Eventually(t, "every kind again", func(context.Context) error {
		if health := s.Health(); len(health.Unreadable) > 0 {
			return fmt.Errorf("expected none to be unreadable, got %v", health.Unreadable)
		}
		return nil
	})
}
