package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// writeBundles writes files that a private Sigstore has signed, that instance's
// trusted root, and a bundle that Sigstore's public one made.
func writeBundles(t *testing.T, folder string) {
	t.Helper()
	private := testca.New(t, testca.Options{Whole: true})
	content := []byte("the content of a release\n")
	file := fixture.Image{Raw: content, Digest: imageref.DigestOf(content)}
	workflow := private.Issue(t, testca.CertificateOptions{})
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		t.Fatal(err)
	}
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "pkg", "testing", "data", "bundles", "sigstore.js@2.0.0-provenance.sigstore.json"))
	if err != nil {
		t.Fatal(err)
	}
	bundle := func(key fixture.Key, o fixture.BundleOptions) []byte {
		o.LogEntries = private.LogEntries()
		raw, err := fixture.NewBundle(file, key, o)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	provenance := fixture.BundleOptions{PredicateType: "https://slsa.dev/provenance/v1", Predicate: map[string]any{
		"buildDefinition": map[string]any{"buildType": "https://actions.github.io/buildtypes/workflow/v1", "externalParameters": map[string]any{}},
		"runDetails":      map[string]any{"builder": map[string]any{"id": "https://github.com/actions/runner"}},
	}}
	for name, content := range map[string][]byte{
		"release.txt": content, "other.txt": []byte("something else\n"),
		"trusted_root.json":        private.TrustedRoot(),
		"noct_root.json":           private.EditedRoot(t, func(r *prototrust.TrustedRoot) { r.Ctlogs = nil }),
		"foreign_root.json":        testca.New(t, testca.Options{Whole: true}).TrustedRoot(),
		"key.pub":                  key.PublicPEM,
		"chain.pem":                private.FulcioChain(),
		"leaf.pem":                 workflow.PEM,
		"keyed.sigstore.json":      bundle(key, fixture.BundleOptions{MessageSignature: true}),
		"keyless.sigstore.json":    bundle(workflow.Key, workflow.Bundle(fixture.BundleOptions{MessageSignature: true})),
		"provenance.sigstore.json": bundle(workflow.Key, workflow.Bundle(provenance)),
		"public.sigstore.json":     public,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
