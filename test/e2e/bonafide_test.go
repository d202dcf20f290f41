package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// A world is a registry with one signed and one unsigned image, a policy over
// them, and the real server as a process.
type world struct {
	registry         *fixture.Registry
	key              fixture.Key
	signed, unsigned string // references by tag
	digest           string // of the signed image
	policyFile       string
	bonafide         *rig.Bonafide
}

// newWorld starts a registry and bonafide serve; more is added to the policy's
// spec.
func newWorld(t *testing.T, more string, flags ...string) *world {
	t.Helper()
	store, key := rig.NewStore(t, fixture.Options{Referrers: true}), rig.NewKey(t)
	signed := rig.Push(t, store, "acme/app:signed", key)
	w := &world{
		registry: store, key: key, policyFile: filepath.Join(t.TempDir(), "policy.yaml"),
		signed: signed.Reference.String(), digest: signed.Digest.String(),
		unsigned: rig.Push(t, store, "acme/app:unsigned").Reference.String(),
	}
	w.writePolicy(t, key, more)
	w.bonafide = shared.StartBonafide(t, rig.BonafideOptions{Policies: w.policyFile, Registry: store.Host(), Flags: flags})
	return w
}

func (w *world) writePolicy(t *testing.T, key fixture.Key, more string) {
	t.Helper()
	if err := os.WriteFile(w.policyFile, rig.SignedPolicy(w.registry.Host(), key.PublicPEM, more), 0o600); err != nil {
		t.Fatal(err)
	}
}

// webhooks are the configurations that bonafide webhook-config prints, limited
// to one namespace.
func (w *world) webhooks(t *testing.T, namespace string) webhooks {
	t.Helper()
	out, err := exec.Command(shared.Command(t), "webhook-config", "--url", w.bonafide.URL, "--ca", w.bonafide.CAFile).Output()
	if err != nil {
		t.Fatal(err)
	}
	var hooks webhooks
	only := metav1.LabelSelectorRequirement{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: []string{namespace}}
	for _, document := range bytes.Split(out, []byte("\n---\n")) {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(document, &meta); err != nil {
			t.Fatal(err)
		}
		switch meta.Kind {
		case "MutatingWebhookConfiguration":
			c := &admissionregistrationv1.MutatingWebhookConfiguration{}
			if err := yaml.UnmarshalStrict(document, c); err != nil {
				t.Fatal(err)
			}
			for i := range c.Webhooks {
				c.Webhooks[i].NamespaceSelector.MatchExpressions = append(c.Webhooks[i].NamespaceSelector.MatchExpressions, only)
			}
			hooks.Mutating = append(hooks.Mutating, c)
		case "ValidatingWebhookConfiguration":
			c := &admissionregistrationv1.ValidatingWebhookConfiguration{}
			if err := yaml.UnmarshalStrict(document, c); err != nil {
				t.Fatal(err)
			}
			for i := range c.Webhooks {
				c.Webhooks[i].NamespaceSelector.MatchExpressions = append(c.Webhooks[i].NamespaceSelector.MatchExpressions, only)
			}
			hooks.Validating = append(hooks.Validating, c)
		default:
			t.Fatalf("webhook-config: expected webhook configurations, got %q", meta.Kind)
		}
	}
	if len(hooks.Mutating) == 0 || len(hooks.Validating) == 0 {
		t.Fatalf("webhook-config: expected both kinds, got:\n%s", out)
	}
	return hooks
}

// guarded is a namespace that bonafide guards.
func (w *world) guarded(t *testing.T) (*rig.Cluster, string) {
	t.Helper()
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	RegisterWebhooks(t, cluster, w.webhooks(t, namespace))
	return cluster, namespace
}

// pinned is the signed image as it must be stored.
func (w *world) pinned() string { return w.signed + "@" + w.digest }
