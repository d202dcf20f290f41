package policies_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
)

var clusterVerificationPolicies = schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "clusterverificationpolicies"}

// TestStatusSaysWhatBecameOfAnObject: and is written once, without making
// anything new of the object.
func TestStatusSaysWhatBecameOfAnObject(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	var f figures
	f.set(4, 4)
	s, seen := source(t, c.Config, func(o *policies.Options) { o.Counts, o.StatusInterval = f.of, time.Hour })
	keepStatus(t, s)

	applied := c.Apply(t, clusterPolicy("told", pem(keyA)), "apiVersion: bonafide.dev/v1alpha1\nkind: ImageDenyList\nmetadata: {name: told-too}\nspec: {images: [ghcr.io/acme/bad], reason: a test}\n")
	for _, object := range applied {
		c.Await(t, object, ready(metav1.ConditionTrue, v1alpha1.ReasonInForce, 1))
	}
	_, count, _ := seen.now()
	stored := c.Dynamic.Resource(clusterVerificationPolicies)
	before, err := stored.Get(t.Context(), "told", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, clusterPolicy("other", pem(keyA))) // another set, and another look at every status
	c.Await(t, applied[0], func(*unstructured.Unstructured) error {
		if _, now, _ := seen.now(); now == count {
			return fmt.Errorf("expected another set")
		}
		return nil
	})
	c.Apply(t, broken("other"))
	c.Await(t, applied[0], func(*unstructured.Unstructured) error {
		o, err := stored.Get(t.Context(), "other", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return ready(metav1.ConditionFalse, "InvalidPolicy", 2)(o)
	})
	after, err := stored.Get(t.Context(), "told", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if before.GetResourceVersion() != after.GetResourceVersion() {
		t.Errorf("expected one write of an unchanged status, got another")
	}
	if _, found, _ := unstructured.NestedInt64(after.Object, "status", "matched"); found {
		t.Error("expected no figures before their time, got some")
	}
}

// keepStatus writes statuses until the test ends.
func keepStatus(t *testing.T, s *policies.Source) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.KeepStatus(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// TestStatusIsAboutWhatIsInForce: a policy that waits for a Secret which it names
// since its last change has the status of the version before.
func TestStatusIsAboutWhatIsInForce(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	namespace := c.Namespace(t, nil)
	g := newGate(t, c, hold)
	s, seen := source(t, g.config, func(o *policies.Options) { o.StatusInterval = 100 * time.Millisecond }) // a write that the gate cut is tried again soon
	keepStatus(t, s)
	stored := c.Apply(t, secret(namespace, "release", keyA), clusterPolicy("waits", pem(keyB)))[1]
	c.Await(t, stored, ready(metav1.ConditionTrue, v1alpha1.ReasonInForce, 1))
	c.Apply(t, clusterPolicy("waits", secretRef(namespace, "release")))
	var set policies.Set
	for _, name := range []string{"later", "last"} { // the second is looked at after the first
		c.Apply(t, clusterPolicy(name, pem(keyA)))
		set = seen.await(t, "a set with what came after", is(name, true, inForce))
	}
	if r := result(set, "waits"); r.Generation != 1 || !r.Ready {
		t.Errorf("expected the version that is in force, got %+v", r)
	}
	o, err := c.Dynamic.Resource(clusterVerificationPolicies).Get(t.Context(), "waits", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ready(metav1.ConditionTrue, v1alpha1.ReasonInForce, 1)(o); err != nil || o.GetGeneration() != 2 {
		t.Errorf("expected generation 1 to be observed of 2, got %d, %v", o.GetGeneration(), err)
	}
	g.set(passOn)
	c.Await(t, stored, ready(metav1.ConditionTrue, v1alpha1.ReasonInForce, 2))
}

// figures are what a test counts.
type figures struct {
	mu              sync.Mutex
	matched, denied int64
	known           bool
}

func (f *figures) set(matched, denied int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.matched, f.denied, f.known = matched, denied, true
}

func (f *figures) of(kind, _, name string) (matched, denied int64, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kind != v1alpha1.ClusterVerificationPolicyKind || name != "counted" {
		return 0, 0, f.known
	}
	return f.matched, f.denied, f.known
}

// TestStatusHasTheFiguresOfTheLastAudit: in place of those before, zero included,
// and none before there was an audit.
func TestStatusHasTheFiguresOfTheLastAudit(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	var f figures
	s, _ := source(t, c.Config, func(o *policies.Options) {
		o.Counts, o.StatusInterval = f.of, 50*time.Millisecond
	})
	keepStatus(t, s)
	applied := c.Apply(t, clusterPolicy("counted", pem(keyA)), clusterPolicy("idle", pem(keyA)), denyList("no-policy", "ghcr.io/acme/bad"))
	has := func(matched, denied any) func(*unstructured.Unstructured) error {
		return func(o *unstructured.Unstructured) error {
			status, _, err := unstructured.NestedMap(o.Object, "status")
			if err != nil || status["conditions"] == nil || status["matched"] != matched || status["denied"] != denied {
				return errors.Join(err, fmt.Errorf("expected %v and %v, got %v", matched, denied, status))
			}
			return nil
		}
	}
	c.Await(t, applied[0], has(nil, nil))
	f.set(7, 2)
	c.Await(t, applied[0], has(int64(7), int64(2)))
	c.Await(t, applied[1], has(int64(0), int64(0)))
	f.set(3, 1)
	c.Await(t, applied[0], has(int64(3), int64(1)))
	f.set(0, 0)
	c.Await(t, applied[0], has(int64(0), int64(0)))
	f.mu.Lock()
	f.matched, f.known = 9, false // another replica leads, or nothing was swept yet
	f.mu.Unlock()
	c.Apply(t, broken("counted"))
	c.Await(t, applied[0], ready(metav1.ConditionFalse, "InvalidPolicy", 2))
	c.Await(t, applied[0], has(int64(0), int64(0)))
	c.Await(t, applied[2], has(nil, nil))
}

// TestFiguresAreWrittenOnce: what is as it was is not written again.
func TestFiguresAreWrittenOnce(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	var f figures
	f.set(1, 0)
	g := newGate(t, c, passOn)
	s, seen := source(t, g.config, func(o *policies.Options) {
		o.Counts, o.StatusInterval = f.of, 20*time.Millisecond
	})
	keepStatus(t, s)
	applied := c.Apply(t, clusterPolicy("counted", pem(keyA)), clusterPolicy("idle", pem(keyA)), denyList("no-policy", "ghcr.io/acme/bad"))
	seen.await(t, "the policies", is("idle", true, inForce))
	for _, o := range applied {
		c.Await(t, o, ready(metav1.ConditionTrue, v1alpha1.ReasonInForce, 1))
	}
	c.Await(t, applied[1], func(o *unstructured.Unstructured) error {
		if matched, found, _ := unstructured.NestedInt64(o.Object, "status", "matched"); !found || matched != 0 {
			return errors.New("expected a zero")
		}
		return nil
	})
	f.set(5, 5) // the end of what is looked at: it is written after all else
	c.Await(t, applied[0], func(o *unstructured.Unstructured) error {
		if matched, _, _ := unstructured.NestedInt64(o.Object, "status", "matched"); matched != 5 {
			return errors.New("expected five")
		}
		return nil
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	for path, n := range g.requests {
		if strings.HasSuffix(path, "/status?") && n > 3 { // the condition, the first figures, the last
			t.Errorf("expected a few writes of %s, got %d", path, n)
		}
	}
}

// TestStatusNamesARegularExpressionThatIsNone: and says which field it stands in.
func TestStatusNamesARegularExpressionThatIsNone(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	s, _ := source(t, c.Config, nil)
	kubetest.Run(t, s.KeepStatus)
	applied := c.Apply(t, "apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: expression}\nspec:\n"+
		"  images: ['ghcr.io/expression/**']\n  signers: [{name: a, sigstore: {keyless: {issuer: 'https://i.test', subjectRegExp: '(release'}}}]\n"+
		"  require: [{signature: {anyOf: [a]}}]\n")
	c.Await(t, applied[0], ready(metav1.ConditionFalse, policies.ReasonInvalidRegexp, 1))
	c.Await(t, applied[0], func(o *unstructured.Unstructured) error {
		conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
		if text := fmt.Sprint(conditions); err != nil || !strings.Contains(text, "spec.signers[0].sigstore.keyless.subjectRegExp") || !strings.Contains(text, "missing closing )") {
			return fmt.Errorf("expected the field and what is wrong with it, got %s, %w", text, err)
		}
		return nil
	})
}

// ready wants the condition, for a generation.
func ready(status metav1.ConditionStatus, reason string, generation int64) func(*unstructured.Unstructured) error {
	return func(o *unstructured.Unstructured) error {
		var p v1alpha1.ClusterVerificationPolicy
		raw, _, err := unstructured.NestedMap(o.Object, "status")
		if err != nil {
			return err
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &p.Status); err != nil {
			return err
		}
		if len(p.Status.Conditions) != 1 {
			return fmt.Errorf("expected a condition, got %v", p.Status.Conditions)
		}
		got := p.Status.Conditions[0]
		if got.Status != status || got.Reason != reason || p.Status.ObservedGeneration != generation {
			return fmt.Errorf("expected %s, %s of generation %d, got %+v of %d", status, reason, generation, got, p.Status.ObservedGeneration)
		}
		return nil
	}
}
