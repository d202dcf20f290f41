package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// A rollOut is a cluster with a policy, a signed image and one that is not.
type rollOut struct {
	*installation
	policy           *unstructured.Unstructured
	signed, unsigned string
	other            string // another tenant's namespace
}

// TestRollOut takes one cluster through the switches of a roll-out. Between them
// the replicas start anew, as when the Deployment changes.
func TestRollOut(t *testing.T) {
	t.Parallel()
	i, key := prepare(t), rig.NewKey(t)
	r := &rollOut{
		installation: i, other: i.Namespace(t, nil),
		signed:   rig.Push(t, i.registry, "acme/app:signed", key).Reference.String(),
		unsigned: rig.Push(t, i.registry, "acme/app:unsigned").Reference.String(),
	}
	i.secret(t, "release", key)
	r.policy = i.Apply(t, i.policy("release", "release"))[0]
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"R44ObserveOnly", r.observeOnly},
		{"UncoveredImages", r.uncovered},
		{"R44NobodyAnswersWhileObserving", r.nobodyObserves},
		{"Enforce", r.enforce},
		{"R44OnlyNamespaces", r.only},
		{"R44ExcludeNamespaces", r.exclude},
		{"NoRegister", r.noRegister},
	} {
		if !t.Run(step.name, step.run) {
			t.FailNow() // the next one builds on it
		}
	}
}

// observeOnly: everything is admitted as it was written, and said to be refused.
func (r *rollOut) observeOnly(t *testing.T) {
	r.serve(t, 2, "--observe-only", "--audit-interval", "1s")
	r.awaitRegistered(t, r.namespace)
	r.ready(t, r.policy)
	for _, replica := range r.replicas { // each on its own
		r.balancer.Use(replica)
		r.awaitWarning(t, r.unsigned, "observe only: would deny: "+r.unsigned)
		for _, image := range []string{r.signed, r.unsigned} {
			if stored := r.admitted(t, r.namespace, image); stored != image {
				t.Errorf("want %s stored as it was written, got %s", image, stored)
			}
		}
	}
	r.balancer.Use(r.replicas...)
	if got := r.logged(t, "image denied", "door=validate", "image="+r.unsigned, "policy=release", "observeOnly=true"); got != 2 {
		t.Errorf("want a line in the log for each of 2 unsigned Pods, got %d", got)
	}
	r.awaitMetric(t, 2, "bonafide_decisions_total", `door="validate"`, `outcome="denied"`)
	r.awaitMetric(t, 2, "bonafide_observe_only") // at each of both
	for name, policy := range r.failurePolicies(t) {
		if policy != admission.Ignore {
			t.Errorf("webhook %s: want failurePolicy Ignore while nothing is enforced, got %s", name, policy)
		}
	}
}

// uncovered: metrics name the namespace that runs images without a policy.
func (r *rollOut) uncovered(t *testing.T) {
	r.admitted(t, r.other, "elsewhere.example/team/app:1")
	r.awaitMetric(t, 1, "bonafide_uncovered_images", fmt.Sprintf("namespace=%q", r.other))
	r.awaitMetric(t, 0, "bonafide_uncovered_images", fmt.Sprintf("namespace=%q", r.namespace))
	// Both doors meet the image.
	r.awaitMetric(t, 2, "bonafide_unmatched_images_total", fmt.Sprintf("namespace=%q", r.other))
}

// nobodyObserves: what only observes is in nobody's way when it is down.
func (r *rollOut) nobodyObserves(t *testing.T) {
	r.serve(t, 0)
	r.admitted(t, r.namespace, r.unsigned)
}

// enforce: the same policy refuses, once the switch is off.
func (r *rollOut) enforce(t *testing.T) {
	r.serve(t, 2)
	r.becomes(t, r.unsigned, "release")
	rig.Eventually(t, "failurePolicy Fail", func(context.Context) error {
		for name, policy := range r.failurePolicies(t) {
			want := admission.Ignore
			if name == "mutate.bonafide.dev" || name == "validate.bonafide.dev" {
				want = admission.Fail
			}
			if policy != want {
				return fmt.Errorf("webhook %s: expected failurePolicy %s, got %s", name, want, policy)
			}
		}
		return nil
	})
	if stored := r.admitted(t, r.namespace, r.signed); stored == r.signed {
		t.Errorf("want %s pinned, got it as it was", r.signed)
	}
	if got := r.metric(t, "bonafide_observe_only"); got != 0 {
		t.Errorf("want no replica that only observes, got %v", got)
	}
}

// only: a namespace that is not named is left alone.
func (r *rollOut) only(t *testing.T) {
	r.serve(t, 1, "--only-namespaces", r.namespace)
	r.becomesIn(t, r.other, r.unsigned, "")
	r.becomes(t, r.unsigned, "release")
}

// exclude: a namespace that is named is left alone.
func (r *rollOut) exclude(t *testing.T) {
	third := r.Namespace(t, nil)
	r.becomesIn(t, third, r.unsigned, "")
	r.serve(t, 1, "--exclude-namespaces", r.other)
	r.becomesIn(t, third, r.unsigned, "release")
	r.becomes(t, r.unsigned, "release")
	r.admitted(t, r.other, r.unsigned)
}

// noRegister: no webhook appears; those that `bonafide webhook-config` prints
// work with the certificate of the cluster.
func (r *rollOut) noRegister(t *testing.T) {
	r.serve(t, 0)
	mutating, validating := r.Client.AdmissionregistrationV1().MutatingWebhookConfigurations(), r.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	const name = "bonafide"
	if err := errors.Join(mutating.Delete(t.Context(), name, metav1.DeleteOptions{}), validating.Delete(t.Context(), name, metav1.DeleteOptions{})); err != nil {
		t.Fatal(err)
	}
	r.serve(t, 1, "--no-register")
	second := r.Apply(t, r.installation.policy("second", "release"))[0]
	r.ready(t, second) // so the replica leads, and has begun all that leaders do
	if r.logged(t, "webhooks are not registered by this server") != 1 {
		t.Error("want the log to say that the webhooks are not registered")
	}
	for kind, look := range map[string]func() error{
		"mutating":   func() error { _, err := mutating.Get(t.Context(), name, metav1.GetOptions{}); return err },
		"validating": func() error { _, err := validating.Get(t.Context(), name, metav1.GetOptions{}); return err },
	} {
		if err := look(); !apierrors.IsNotFound(err) {
			t.Errorf("want no %s webhooks, got: %v", kind, err)
		}
	}
	r.becomesIn(t, r.namespace, r.unsigned, "")

	secret, err := r.Client.CoreV1().Secrets(systemNamespace).Get(t.Context(), certificateSecret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, secret.Data["ca.crt"], 0o600); err != nil {
		t.Fatal(err)
	}
	r.Apply(t, string(webhookConfig(t, "--url", r.balancer.URL, "--ca", ca, "--system-namespace", systemNamespace)))
	r.becomes(t, r.unsigned, "release")
	if stored := r.admitted(t, r.namespace, r.signed); stored == r.signed {
		t.Errorf("want %s pinned, got it as it was", r.signed)
	}
}

// failurePolicies are those of the registered webhooks.
func (r *rollOut) failurePolicies(t *testing.T) map[string]admission.FailurePolicyType {
	t.Helper()
	api := r.Client.AdmissionregistrationV1()
	mutating, err := api.MutatingWebhookConfigurations().Get(t.Context(), "bonafide", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	validating, err := api.ValidatingWebhookConfigurations().Get(t.Context(), "bonafide", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]admission.FailurePolicyType{}
	for _, w := range mutating.Webhooks {
		policies[w.Name] = *w.FailurePolicy
	}
	for _, w := range validating.Webhooks {
		policies[w.Name] = *w.FailurePolicy
	}
	if len(mutating.Webhooks) < 2 || len(validating.Webhooks) < 2 {
		t.Fatalf("want two webhooks at each door, got %v", policies)
	}
	return policies
}
