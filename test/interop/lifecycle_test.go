//go:build interop

package interop_test

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestCounterpartsEndWithTheirTest starts both in a cluster of their own, as a
// test that stops them or changes their options does, and looks at what is left.
func TestCounterpartsEndWithTheirTest(t *testing.T) {
	cluster := rig.Start(t)
	hooks := cluster.Client.AdmissionregistrationV1()
	count := func(t *testing.T) int {
		t.Helper()
		validating, err := hooks.ValidatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		mutating, err := hooks.MutatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(validating.Items) + len(mutating.Items)
	}
	t.Run("Inner", func(t *testing.T) {
		rig.StartGatekeeper(t, cluster, rig.GatekeeperOptions{FailOpen: true})
		rig.StartKyverno(t, cluster, rig.KyvernoOptions{}).Apply(t, `
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: nothing}
spec:
  background: false
  rules:
  - name: nothing
    match: {any: [{resources: {kinds: [Pod]}}]}
    validate: {failureAction: Enforce, message: nothing runs here, deny: {}}
`)
		if got := count(t); got < 4 {
			t.Errorf("want webhooks of both, got %d configurations", got)
		}
		rig.WantRefused(t, dryPod(t.Context(), cluster), "nothing runs here")
	})
	if got := count(t); got != 0 {
		t.Errorf("want no webhooks left, got %d configurations", got)
	}
	rig.Eventually(t, "Pods are admitted again", func(ctx context.Context) error {
		if err := dryPod(ctx, cluster); err != nil {
			return fmt.Errorf("create a Pod: %w", err)
		}
		return nil
	})
}

func dryPod(ctx context.Context, cluster *rig.Cluster) error {
	_, err := cluster.Client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, rig.NewPod("registry.example/app:v1"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}
