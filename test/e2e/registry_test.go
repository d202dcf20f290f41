package e2e_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// A real registry without the referrers API: what was attached is found through
// the fallback tag.
func TestRealRegistryWithoutReferrers(t *testing.T) {
	store := fixture.NewStore(rig.StartRegistry(t).Host, http.DefaultTransport, false)
	key := rig.NewKey(t)
	authority, err := fixture.NewAuthority(fixture.CertificateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue(fixture.CertificateOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}}})
	if err != nil {
		t.Fatal(err)
	}
	signings := map[string]func(fixture.Image) error{
		"cosign": func(i fixture.Image) error {
			_, err := store.SignCosign(t.Context(), i, key, fixture.CosignOptions{})
			return err
		},
		"bundle": func(i fixture.Image) error {
			_, err := store.SignBundle(t.Context(), i, key, fixture.BundleOptions{})
			return err
		},
		"notation": func(i fixture.Image) error {
			_, err := store.SignNotation(t.Context(), i, leaf, fixture.NotationOptions{})
			return err
		},
		"unsigned": func(fixture.Image) error { return nil },
	}
	want := map[string]string{"cosign": "allowed", "bundle": "allowed", "notation": "allowed", "unsigned": "denied"}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	err = os.WriteFile(policy, fmt.Appendf(nil, `apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: release}
spec:
  images: ["%s/**"]
  signers:
  - name: release
    sigstore: {key: {pem: %q}, transparencyLog: Ignored}
  - name: corp
    notation:
      trustStores: [{type: ca, certificates: {pem: %q}}]
      trustedIdentities: ["x509.subject: C=US, ST=WA, O=Acme"]
  require:
  - signature: {anyOf: [release, corp]}
`, store.Host(), key.PublicPEM, authority.PEM()), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, sign := range signings {
		image, err := store.PushImage(t.Context(), "acme/app:"+name, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := sign(image); err != nil {
			t.Fatal(err)
		}
		// The exit code says the same as the report, which is looked at here.
		out, _ := exec.Command(shared.Command(t), "verify", "-o", "json", "--policy", policy, image.Reference.String()).Output()
		var report struct {
			Results []struct{ Outcome string }
		}
		if err := json.Unmarshal(out, &report); err != nil || len(report.Results) != 1 {
			t.Fatalf("%s: expected a report of one image, got %q", name, out)
		}
		got[name] = report.Results[0].Outcome
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
