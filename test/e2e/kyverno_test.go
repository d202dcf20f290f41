package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// example is a world that follows an example: its policies, filled in, behind
// bonafide's webhooks.
type example struct {
	*world
	cluster *rig.Cluster
	other   fixture.Key // a key that the policies do not know, or know as the second
	folder  string      // of the policies
}

// newExample serves a folder's policies and guards the namespaces, which it
// makes, or finds: one that is deleted stays without its controller.
func newExample(t *testing.T, folder, part string, namespaces ...string) *example {
	t.Helper()
	store, key, other := rig.NewStore(t, fixture.Options{Referrers: true}), rig.NewKey(t), rig.NewKey(t)
	e := &example{world: &world{registry: store, key: key}, cluster: shared.Cluster(t), other: other, folder: t.TempDir()}
	rig.FillExample(t, folder, part, e.values(key, other)).Write(t, e.folder)
	e.bonafide = shared.StartBonafide(t, rig.BonafideOptions{Policies: e.folder, Registry: store.Host()})
	for _, namespace := range namespaces {
		e.cluster.NamespaceNamed(t, namespace)
		RegisterWebhooks(t, e.cluster, e.named(t, namespace))
	}
	return e
}

// values put the keys in the place of the example's, in that order.
func (e *example) values(first, second fixture.Key) examples.Values {
	return examples.Values{Registry: e.registry.Host(), Keys: [][]byte{first.PublicPEM, second.PublicPEM}}
}

// named are the webhooks of one namespace, under names of their own.
func (e *example) named(t *testing.T, namespace string) webhooks {
	t.Helper()
	hooks := e.webhooks(t, namespace)
	for _, c := range hooks.Mutating {
		c.Name += "-" + namespace
	}
	for _, c := range hooks.Validating {
		c.Name += "-" + namespace
	}
	return hooks
}

// sign pushes an image and signs it with each key.
func (e *example) sign(t *testing.T, name string, keys ...fixture.Key) fixture.Image {
	t.Helper()
	return rig.Push(t, e.registry, name, keys...)
}

func (e *example) attest(t *testing.T, image fixture.Image, o fixture.AttestationOptions) {
	t.Helper()
	if _, err := e.registry.SignAttestation(t.Context(), image, e.key, o); err != nil {
		t.Fatal(err)
	}
}

// create makes a Pod with the image and returns how it is stored.
func (e *example) create(t *testing.T, namespace, image string) (string, error) {
	t.Helper()
	return e.cluster.CreatePod(t.Context(), namespace, image)
}

func (e *example) wantPinned(t *testing.T, namespace string, image fixture.Image) {
	t.Helper()
	got, err := e.create(t, namespace, image.Reference.String())
	if want := image.Reference.String() + "@" + image.Digest.String(); err != nil || got != want {
		t.Errorf("%s in %s: want it admitted as %s, got %q, %v", image.Reference, namespace, want, got, err)
	}
}

func (e *example) wantRefused(t *testing.T, namespace string, image fixture.Image, parts ...string) {
	t.Helper()
	_, err := e.create(t, namespace, image.Reference.String())
	rig.WantRefused(t, err, parts...)
}

// The first document: policies of Kyverno v1.5, keys in a ConfigMap, provenance
// by Tekton.
func TestKyvernoProvenance(t *testing.T) {
	e := newExample(t, examples.KyvernoProvenance, "policy", "shop", "prod")
	first := fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSLSA02, Predicate: fixture.TektonProvenanceFirst()}
	signed := e.sign(t, "org/app:signed", e.key)

	t.Run("Signed", func(t *testing.T) { e.wantPinned(t, "shop", signed) })
	t.Run("Deployment", func(t *testing.T) {
		got, err := creations["Deployment"](t.Context(), e.cluster, "shop", signed.Reference.String())
		if want := signed.Reference.String() + "@" + signed.Digest.String(); err != nil || got != want {
			t.Errorf("want %s, got %q, %v", want, got, err)
		}
		_, err = creations["Deployment"](t.Context(), e.cluster, "shop", e.sign(t, "org/app:unsigned-deployment").Reference.String())
		rig.WantRefused(t, err, "resource Deployment/shop/", "check-image:", "autogen-check-image:")
	})
	t.Run("Unsigned", func(t *testing.T) {
		e.wantRefused(t, "shop", e.sign(t, "org/app:unsigned"), "was blocked due to the following policies", "check-image:", "no signatures found")
	})
	t.Run("MismatchingKey", func(t *testing.T) {
		e.wantRefused(t, "shop", e.sign(t, "org/app:stranger", e.other), "check-image:", "does not verify")
	})
	t.Run("EntriesAreANDed", func(t *testing.T) {
		e.wantPinned(t, "shop", e.sign(t, "vendor/tool:both", e.key, e.other))
		e.wantRefused(t, "shop", e.sign(t, "vendor/tool:one", e.key), "check-image:")
	})
	t.Run("Attested", func(t *testing.T) {
		image := e.sign(t, "org/app:attested", e.key)
		e.attest(t, image, first)
		e.wantPinned(t, "prod", image)
	})
	t.Run("AttestedByChains", func(t *testing.T) {
		image := e.sign(t, "chains/app:v1", e.key)
		e.attest(t, image, fixture.TektonChains())
		e.wantPinned(t, "prod", image)
	})
	t.Run("MissingAttestation", func(t *testing.T) {
		e.wantRefused(t, "prod", signed, "attest-code-review:", "attest:", "got none")
	})
	t.Run("WrongBuilder", func(t *testing.T) {
		image := e.sign(t, "org/app:laptop", e.key)
		wrong := first
		wrong.Predicate = map[string]any{"builder": map[string]any{"id": "a-laptop"}, "recipe": map[string]any{"type": "https://tekton.dev/attestations/chains@v1"}}
		e.attest(t, image, wrong)
		e.wantRefused(t, "prod", image, "attest-code-review:", "tekton-chains", "a-laptop")
	})
	t.Run("AttestationByAnotherKey", func(t *testing.T) {
		image := e.sign(t, "org/app:forged", e.key)
		if _, err := e.registry.SignAttestation(t.Context(), image, e.other, first); err != nil {
			t.Fatal(err)
		}
		e.wantRefused(t, "prod", image, "attest-code-review:", "does not verify")
	})
	// The key in the ConfigMap is replaced: without a restart what it signed no
	// longer runs, and what the new one signs does.
	t.Run("KeyReplaced", func(t *testing.T) {
		after := e.sign(t, "org/app:after", e.other)
		e.wantRefused(t, "shop", after, "does not verify")
		for _, f := range rig.FillExample(t, examples.KyvernoProvenance, "policy", e.values(e.other, e.key)) {
			if f.Name == "policy/keys.yaml" {
				rig.Example{f}.Write(t, e.folder)
			}
		}
		rig.Eventually(t, "the new key is in force", func(context.Context) error {
			_, err := e.create(t, "shop", after.Reference.String())
			return err
		})
		e.wantRefused(t, "shop", e.sign(t, "org/app:old-key", e.key), "does not verify")
	})
}

// The same policy with its keys written out.
func TestKyvernoInlineKeys(t *testing.T) {
	e := newExample(t, examples.KyvernoProvenance, "inline", "inline")
	e.wantPinned(t, "inline", e.sign(t, "org/app:signed", e.key))
	e.wantPinned(t, "inline", e.sign(t, "vendor/tool:signed", e.other))
	e.wantRefused(t, "inline", e.sign(t, "vendor/tool:org", e.key), "check-image:", "does not verify")
}

// The fifth document: only-cosign-image-deploy as it is written.
func TestKyvernoChains(t *testing.T) {
	e := newExample(t, examples.KyvernoChains, "policy", "policy", "elsewhere")
	t.Run("Signed", func(t *testing.T) { e.wantPinned(t, "policy", e.sign(t, "test/chains/demo-1:latest", e.key)) })
	t.Run("Unsigned", func(t *testing.T) {
		unsigned := e.sign(t, "test/chains/unsigned:latest")
		e.wantRefused(t, "policy", unsigned,
			"was blocked due to the following policies", "only-cosign-image-deploy:", "check-image:",
			fmt.Sprintf("failed to verify image %s", unsigned.Reference), ".attestors[0].entries[0].keys: no signatures found")
	})
	t.Run("MismatchingKey", func(t *testing.T) {
		e.wantRefused(t, "policy", e.sign(t, "test/chains/stranger:latest", e.other), "check-image:", "does not verify")
	})
	t.Run("SkipImageReferences", func(t *testing.T) {
		const skipped = "ghcr.io/trusted/tool:v1"
		if got, err := e.create(t, "policy", skipped); err != nil || got != skipped {
			t.Errorf("want it created as it is, got %q, %v", got, err)
		}
	})
	t.Run("OtherNamespacesAreUntouched", func(t *testing.T) {
		unsigned := e.sign(t, "test/chains/elsewhere:latest").Reference.String()
		if got, err := e.create(t, "elsewhere", unsigned); err != nil || got != unsigned {
			t.Errorf("want it created as it is, got %q, %v", got, err)
		}
	})
}
