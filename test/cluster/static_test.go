package cluster_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// webhookConfig runs `bonafide webhook-config`.
func webhookConfig(t *testing.T, flags ...string) []byte {
	t.Helper()
	var notes bytes.Buffer
	command := exec.CommandContext(t.Context(), shared.Command(t), append([]string{"webhook-config"}, flags...)...)
	command.Stderr = &notes
	out, err := command.Output()
	if err != nil {
		t.Fatalf("webhook-config: %v\n%s", err, notes.String())
	}
	return out
}

// TestR44StaticManifestsGuardFromTheStart holds that an API server that reads the
// webhooks from files asks about the very first Pod, without any object that
// somebody could delete, and admits none when nobody answers.
func TestR44StaticManifestsGuardFromTheStart(t *testing.T) {
	t.Parallel()
	registry, key := rig.NewStore(t, fixture.Options{Referrers: true}), rig.NewKey(t)
	signed := rig.Push(t, registry, "acme/app:signed", key).Reference.String()
	unsigned := rig.Push(t, registry, "acme/app:unsigned").Reference.String()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, rig.SignedPolicy(registry.Host(), key.PublicPEM, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	server := shared.StartBonafide(t, rig.BonafideOptions{Policies: policy, Registry: registry.Host()})
	from := []string{"--url", server.URL, "--ca", server.CAFile}
	cluster := rig.StartWith(t, rig.ClusterOptions{
		StaticMutating:   webhookConfig(t, append(from, "--print-static-manifests=mutating")...),
		StaticValidating: webhookConfig(t, append(from, "--print-static-manifests=validating")...),
	})

	const namespace = metav1.NamespaceDefault // it is there from the start, like the webhooks
	_, err := cluster.CreatePod(t.Context(), namespace, unsigned)
	rig.WantRefused(t, err, unsigned, "no signature")
	stored, err := cluster.CreatePod(t.Context(), namespace, signed)
	if err != nil || stored == signed {
		t.Errorf("signed: want it admitted and pinned, got %q, %v", stored, err)
	}
	api := cluster.Client.AdmissionregistrationV1()
	mutating, err := api.MutatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(mutating.Items) != 0 {
		t.Errorf("want no MutatingWebhookConfiguration in the store, got %d, %v", len(mutating.Items), err)
	}
	validating, err := api.ValidatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(validating.Items) != 0 {
		t.Errorf("want no ValidatingWebhookConfiguration in the store, got %d, %v", len(validating.Items), err)
	}

	server.Stop(t)
	for _, image := range []string{signed, unsigned} {
		_, err = cluster.CreatePod(t.Context(), namespace, image)
		rig.WantRefused(t, err, "failed calling webhook", "mutate.bonafide.dev")
	}
	if _, err := cluster.CreatePod(t.Context(), metav1.NamespaceSystem, unsigned); err != nil {
		t.Errorf("want kube-system never locked out, got: %v", err)
	}
}
