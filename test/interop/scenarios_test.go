//go:build interop

package interop_test

import (
	"context"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// The scenarios put bonafide in the place of the verifier, with an example's own
// files.

// fillPolicies writes the policies of an example into a new folder.
func fillPolicies(t *testing.T, folder string, v examples.Values) string {
	t.Helper()
	policies := t.TempDir()
	rig.FillExample(t, folder, "policy", v).Write(t, policies)
	return policies
}

// newTeam returns an authority and a certificate of it that signs.
func newTeam(t *testing.T) (fixture.Authority, fixture.Leaf) {
	t.Helper()
	name := func(common string) fixture.CertificateOptions {
		return fixture.CertificateOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Example"}, CommonName: common}}
	}
	authority, err := fixture.NewAuthority(name("CA"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue(name("pipeline"))
	if err != nil {
		t.Fatal(err)
	}
	return authority, leaf
}

func signNotation(t *testing.T, store *fixture.Registry, leaf fixture.Leaf, images ...fixture.Image) {
	t.Helper()
	for _, image := range images {
		if _, err := store.SignNotation(t.Context(), image, leaf, fixture.NotationOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// attach attaches a document to an image and signs it, unless leaf is nil.
func attach(t *testing.T, store *fixture.Registry, image fixture.Image, artifactType string, content []byte, leaf *fixture.Leaf) {
	t.Helper()
	artifact, err := store.PushArtifact(t.Context(), image, artifactType, artifactType, content)
	if err != nil {
		t.Fatal(err)
	}
	if leaf != nil {
		signNotation(t, store, *leaf, artifact)
	}
}

// The second document: Gatekeeper with Ratify's own template and mutators, and
// bonafide as both providers.
func TestGatekeeperAsksBonafideInThePlaceOfRatify(t *testing.T) {
	gatekeeper := shared.Gatekeeper(t)
	namespace := shared.Cluster(t).Namespace(t, nil)
	store := newRegistry(t)
	authority, leaf := newTeam(t)
	values := examples.Values{Registry: store.Host(), Certificates: [][]byte{authority.PEM()}}
	policies := fillPolicies(t, examples.GatekeeperRatify, values)
	b := shared.StartBonafide(t, rig.BonafideOptions{
		Policies: policies, Registry: store.Host(), Flags: []string{"--client-ca", writeFile(t, "gatekeeper-ca.crt", gatekeeper.ClientCA)},
	})

	values.Variables = map[string]string{"CA_BUNDLE": base64.StdEncoding.EncodeToString(b.CABundle)}
	values.Text = map[string]string{"https://bonafide.bonafide-system:9443": b.URL, `["default"]`: "[" + namespace + "]"}
	cluster := rig.FillExample(t, examples.GatekeeperRatify, "cluster", values)
	gatekeeper.Apply(t, cluster.Documents(t, "Provider")...)
	gatekeeper.Apply(t, string(rig.ModuleFile(t, "ratify", "library/default/template.yaml")))
	gatekeeper.Apply(t, append(cluster.Documents(t, "RatifyVerification"), ratifyAssigns(t, namespace))...)

	t.Run("Signed", func(t *testing.T) {
		signed := rig.Push(t, store, "hello-world:signed")
		signNotation(t, store, leaf, signed)
		got, err := createPod(t, namespace, signed.Reference.String())
		if err != nil {
			t.Fatal(err)
		}
		if want := signed.Pinned().String(); got != want {
			t.Errorf("the tag is replaced by the digest: want %q, got %q", want, got)
		}
	})
	t.Run("Unsigned", func(t *testing.T) {
		unsigned := rig.Push(t, store, "hello-world:unsigned")
		_, err := createPod(t, namespace, unsigned.Reference.String())
		rig.WantRefused(t, err, "[ratify-constraint]", "failed to verify the artifact: "+unsigned.Reference.String(), "trace-id: ")
	})
	t.Run("SignedByAnother", func(t *testing.T) {
		_, stranger := newTeam(t)
		image := rig.Push(t, store, "hello-world:stranger")
		signNotation(t, store, stranger, image)
		_, err := createPod(t, namespace, image.Reference.String())
		rig.WantRefused(t, err, "[ratify-constraint]", "failed to verify the artifact")
	})
	t.Run("SBOMAndScan", func(t *testing.T) {
		complete := rig.Push(t, store, "shop/app:complete")
		signNotation(t, store, leaf, complete)
		attach(t, store, complete, "application/spdx+json", fixture.SPDX(), &leaf)
		attach(t, store, complete, "application/sarif+json", fixture.SARIF(), &leaf)
		if _, err := createPod(t, namespace, complete.Reference.String()); err != nil {
			t.Errorf("signed, with a signed SBOM and a signed scan: want it admitted, got %v", err)
		}
		bare := rig.Push(t, store, "shop/app:bare")
		signNotation(t, store, leaf, bare)
		_, err := createPod(t, namespace, bare.Reference.String())
		rig.WantRefused(t, err, "[ratify-constraint]")
		unsigned := rig.Push(t, store, "shop/app:unsigned-sbom")
		signNotation(t, store, leaf, unsigned)
		attach(t, store, unsigned, "application/spdx+json", fixture.SPDX(), nil)
		attach(t, store, unsigned, "application/sarif+json", fixture.SARIF(), &leaf)
		_, err = createPod(t, namespace, unsigned.Reference.String())
		rig.WantRefused(t, err, "[ratify-constraint]")
	})
}

// The third document: Gatekeeper with the document's template and constraint,
// bonafide in the place of the cosign provider, a registry that wants to know
// who pulls.
func TestGatekeeperAsksBonafideInThePlaceOfTheCosignProvider(t *testing.T) {
	gatekeeper := shared.Gatekeeper(t)
	shared.Cluster(t).NamespaceNamed(t, "namespace-1")
	store := rig.NewStore(t, fixture.Options{Referrers: true, Auth: fixture.Auth{Scheme: fixture.Basic, Username: "puller", Password: "open-sesame"}})
	key := rig.NewKey(t)
	values := examples.Values{Registry: store.Host(), Keys: [][]byte{key.PublicPEM}}
	policies := fillPolicies(t, examples.GatekeeperCosign, values)
	b := shared.StartBonafide(t, rig.BonafideOptions{
		Policies: policies, Registry: store.Host(), Flags: []string{"--client-ca", writeFile(t, "gatekeeper-ca.crt", gatekeeper.ClientCA)},
		Env: []string{"DOCKER_CONFIG=" + dockerConfig(t, store.Host(), "puller", "open-sesame")},
	})

	values.Variables = map[string]string{"CA_BUNDLE": base64.StdEncoding.EncodeToString(b.CABundle)}
	values.Text = map[string]string{"https://bonafide.bonafide-system:9443": b.URL}
	cluster := rig.FillExample(t, examples.GatekeeperCosign, "cluster", values)
	gatekeeper.Apply(t, cluster.Documents(t, "Provider", "ConstraintTemplate", "K8sExternalDataCosign")...)

	signed, unsigned := rig.Push(t, store, "nginx:signed", key), rig.Push(t, store, "nginx:unsigned")
	if _, err := createPod(t, "namespace-1", signed.Reference.String()); err != nil {
		t.Errorf("the signed image: want it admitted, got %v", err)
	}
	_, err := createPod(t, "namespace-1", unsigned.Reference.String())
	rig.WantRefused(t, err, "[cosign-gatekeeper-provider] invalid response: ",
		fmt.Sprintf(`{"errors": [[%q, %q]], "responses": [], "status_code": 200, "system_error": ""}`, unsigned.Reference.String(), unsigned.Reference.String()+"_invalid"))
	if _, err := createPod(t, shared.Cluster(t).Namespace(t, nil), unsigned.Reference.String()); err != nil {
		t.Errorf("a namespace that the constraint does not name: want it admitted, got %v", err)
	}
}

// dockerConfig writes a Docker configuration and returns its folder.
func dockerConfig(t *testing.T, host, username, password string) string {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	content, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(writeFile(t, "config.json", content))
}

// team is a tenant of the extension service: a namespace, its trust policy and
// its store.
const team = `apiVersion: notation.nirmata.io/v1alpha1
kind: TrustStore
metadata: {name: %[1]s}
spec:
  trustStoreName: %[1]s
  type: ca
  caBundle: %[2]q
---
apiVersion: notation.nirmata.io/v1alpha1
kind: TrustPolicy
metadata: {name: tp-%[1]s}
spec:
  version: "1.0"
  trustPolicyName: tp-%[1]s
  trustPolicies:
  - {name: default, registryScopes: ["*"], signatureVerification: {level: strict}, trustStores: ["ca:%[1]s"], trustedIdentities: ["*"]}
`

// The fourth document: the real Kyverno with the document's policy, which calls
// bonafide's /checkimages.
func TestKyvernoAsksBonafideInThePlaceOfTheExtensionService(t *testing.T) {
	kyverno := shared.Kyverno(t)
	const first, second = "test-venafi", "test-venafi-b"
	shared.Cluster(t).NamespaceNamed(t, first)
	shared.Cluster(t).NamespaceNamed(t, second)
	store := newRegistry(t)
	authority, leaf := newTeam(t)
	otherAuthority, otherLeaf := newTeam(t)
	values := examples.Values{Registry: store.Host(), Certificates: [][]byte{authority.PEM()}}
	policies := fillPolicies(t, examples.KyvernoExtension, values)
	if err := os.WriteFile(filepath.Join(policies, "second.yaml"), fmt.Appendf(nil, team, second, otherAuthority.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := shared.StartBonafide(t, rig.BonafideOptions{Policies: policies, Registry: store.Host()})
	values.Variables = map[string]string{"CA_BUNDLE_PEM": string(b.CABundle)}
	values.Text = map[string]string{"https://bonafide.bonafide-system:9443": b.URL}
	kyverno.Apply(t, rig.FillExample(t, examples.KyvernoExtension, "cluster", values).Documents(t)...)

	// sbom is what the document's policy asks of every image, licence what it
	// asks of the demo's besides.
	sbom := []byte(`{"creationInfo":{"licenseListVersion":"3.17"},"spdxVersion":"SPDX-2.3"}`)
	licence := func(expression string) []byte {
		return fmt.Appendf(nil, `{"bomFormat":"CycloneDX","components":[{"name":"zlib","licenses":[{"expression":%q}]}]}`, expression)
	}
	complete := func(t *testing.T, name string, by fixture.Leaf) fixture.Image {
		t.Helper()
		image := rig.Push(t, store, name)
		signNotation(t, store, by, image)
		attach(t, store, image, "sbom/cyclone-dx", sbom, &by)
		attach(t, store, image, "application/vnd.cyclonedx", licence("Zlib"), &by)
		return image
	}
	wantMutated := func(t *testing.T, namespace string, image fixture.Image) {
		t.Helper()
		got, err := createPod(t, namespace, image.Reference.String())
		if err != nil {
			t.Error(err)
			return
		}
		if want := image.Pinned().String(); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
	signed := complete(t, "demo:signed", leaf)

	t.Run("Signed", func(t *testing.T) { wantMutated(t, first, signed) })
	t.Run("Unsigned", func(t *testing.T) {
		_, err := createPod(t, first, rig.Push(t, store, "demo:unsigned").Reference.String())
		rig.WantRefused(t, err, "mutate.kyverno.svc-fail", "failed to fetch data for APICall: HTTP 406 Not Acceptable: failed to verify container demo: failed to verify image {{", "no signature is associated with")
	})
	t.Run("MissingSBOM", func(t *testing.T) {
		image := rig.Push(t, store, "demo:bare")
		signNotation(t, store, leaf, image)
		_, err := createPod(t, first, image.Reference.String())
		rig.WantRefused(t, err, "HTTP 406 Not Acceptable", "failed to find attestation sbom/cyclone-dx in image")
	})
	t.Run("Licence", func(t *testing.T) {
		image := rig.Push(t, store, "demo:gpl")
		signNotation(t, store, leaf, image)
		attach(t, store, image, "sbom/cyclone-dx", sbom, &leaf)
		attach(t, store, image, "application/vnd.cyclonedx", licence("GPL-3.0"), &leaf)
		_, err := createPod(t, first, image.Reference.String())
		rig.WantRefused(t, err, "HTTP 406 Not Acceptable", "failed to evaluate conditions")
	})
	t.Run("Tenants", func(t *testing.T) {
		theirs := complete(t, "other:signed", otherLeaf)
		wantMutated(t, second, theirs)
		_, err := createPod(t, first, theirs.Reference.String())
		rig.WantRefused(t, err, "HTTP 406 Not Acceptable")
		_, err = createPod(t, second, signed.Reference.String())
		rig.WantRefused(t, err, "HTTP 406 Not Acceptable")
	})
	t.Run("CacheHitInTheMetrics", func(t *testing.T) {
		before := proofsRemembered(t, b)
		wantMutated(t, first, signed)
		if after := proofsRemembered(t, b); after == before {
			t.Errorf("want one more hit than before, %q, got %q", before, after)
		}
	})
	t.Run("TrustStoreReplaced", func(t *testing.T) {
		values.Certificates = [][]byte{otherAuthority.PEM()}
		rig.FillExample(t, examples.KyvernoExtension, "policy", values).Write(t, policies)
		after := complete(t, "other:after", otherLeaf)
		rig.Eventually(t, "the new store is in force", func(context.Context) error {
			_, err := createPod(t, first, after.Reference.String())
			return err
		})
		_, err := createPod(t, first, signed.Reference.String())
		rig.WantRefused(t, err, "HTTP 406 Not Acceptable")
	})
}

// proofsRemembered is the line of the metrics that counts remembered proofs.
func proofsRemembered(t *testing.T, b *rig.Bonafide) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.Metrics+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, `bonafide_cache_lookups_total{cache="proof",hit="true"}`) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
