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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// The scenarios put bonafide in the place of the verifier, with an example's own
// files.

// fill writes a part of an example to a folder, and returns the files' content.
func fill(t *testing.T, folder, part string, v examples.Values) (dir string, documents []string) {
	t.Helper()
	files, err := examples.Fill(folder, part, v)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), f.Content, 0o600); err != nil {
			t.Fatal(err)
		}
		documents = append(documents, strings.Split(string(f.Content), "\n---\n")...)
	}
	return dir, documents
}

// namespaceNamed makes a namespace of the name that an example says.
func namespaceNamed(t *testing.T, name string) {
	t.Helper()
	_, err := shared.Cluster(t).Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) fixture.Key {
	t.Helper()
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		t.Fatal(err)
	}
	return key
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
	policies, _ := fill(t, examples.GatekeeperRatify, "policy", values)
	b := bonafideServe(t, "--policy", policies, "--insecure-registry", store.Host(), "--client-ca", writeFile(t, "gatekeeper-ca.crt", gatekeeper.ClientCA))

	values.Variables = map[string]string{"CA_BUNDLE": base64.StdEncoding.EncodeToString(b.CABundle)}
	values.Text = map[string]string{"https://bonafide.bonafide-system:9443": b.URL, `["default"]`: "[" + namespace + "]"}
	_, cluster := fill(t, examples.GatekeeperRatify, "cluster", values)
	var providers, constraints []string
	for _, document := range cluster {
		if strings.Contains(document, "kind: Provider") {
			providers = append(providers, document)
			continue
		}
		constraints = append(constraints, document)
	}
	gatekeeper.Apply(t, providers...)
	gatekeeper.Apply(t, string(rig.ModuleFile(t, "ratify", "library/default/template.yaml")))
	gatekeeper.Apply(t, append(constraints, ratifyAssigns(t, namespace))...)

	t.Run("Signed", func(t *testing.T) {
		signed := push(t, store, "hello-world:signed")
		signNotation(t, store, leaf, signed)
		pod, err := createPod(t, namespace, signed.Reference.String())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := pod.Spec.Containers[0].Image, signed.Pinned().String(); got != want {
			t.Errorf("the tag is replaced by the digest: want %q, got %q", want, got)
		}
	})
	t.Run("Unsigned", func(t *testing.T) {
		unsigned := push(t, store, "hello-world:unsigned")
		_, err := createPod(t, namespace, unsigned.Reference.String())
		wantRefused(t, err, "[ratify-constraint]", "failed to verify the artifact: "+unsigned.Reference.String(), "trace-id: ")
	})
	t.Run("SignedByAnother", func(t *testing.T) {
		_, stranger := newTeam(t)
		image := push(t, store, "hello-world:stranger")
		signNotation(t, store, stranger, image)
		_, err := createPod(t, namespace, image.Reference.String())
		wantRefused(t, err, "[ratify-constraint]", "failed to verify the artifact")
	})
	t.Run("SBOMAndScan", func(t *testing.T) {
		complete := push(t, store, "shop/app:complete")
		signNotation(t, store, leaf, complete)
		attach(t, store, complete, "application/spdx+json", fixture.SPDX(), &leaf)
		attach(t, store, complete, "application/sarif+json", fixture.SARIF(), &leaf)
		if _, err := createPod(t, namespace, complete.Reference.String()); err != nil {
			t.Errorf("signed, with a signed SBOM and a signed scan: want it admitted, got %v", err)
		}
		bare := push(t, store, "shop/app:bare")
		signNotation(t, store, leaf, bare)
		_, err := createPod(t, namespace, bare.Reference.String())
		wantRefused(t, err, "[ratify-constraint]")
		unsigned := push(t, store, "shop/app:unsigned-sbom")
		signNotation(t, store, leaf, unsigned)
		attach(t, store, unsigned, "application/spdx+json", fixture.SPDX(), nil)
		attach(t, store, unsigned, "application/sarif+json", fixture.SARIF(), &leaf)
		_, err = createPod(t, namespace, unsigned.Reference.String())
		wantRefused(t, err, "[ratify-constraint]")
	})
}

// The third document: Gatekeeper with the document's template and constraint,
// bonafide in the place of the cosign provider, a registry that wants to know
// who pulls.
func TestGatekeeperAsksBonafideInThePlaceOfTheCosignProvider(t *testing.T) {
	gatekeeper := shared.Gatekeeper(t)
	namespaceNamed(t, "namespace-1")
	store, err := fixture.NewRegistry(fixture.Options{Referrers: true, Auth: fixture.Auth{Scheme: fixture.Basic, Username: "puller", Password: "open-sesame"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	key := newKey(t)
	values := examples.Values{Registry: store.Host(), Keys: [][]byte{key.PublicPEM}}
	policies, _ := fill(t, examples.GatekeeperCosign, "policy", values)
	t.Setenv("DOCKER_CONFIG", dockerConfig(t, store.Host(), "puller", "open-sesame"))
	b := bonafideServe(t, "--policy", policies, "--insecure-registry", store.Host(), "--client-ca", writeFile(t, "gatekeeper-ca.crt", gatekeeper.ClientCA))

	values.Variables = map[string]string{"CA_BUNDLE": base64.StdEncoding.EncodeToString(b.CABundle)}
	values.Text = map[string]string{"https://bonafide.bonafide-system:9443": b.URL}
	for _, kind := range []string{"provider", "template", "constraint"} {
		_, cluster := fill(t, examples.GatekeeperCosign, "cluster", values)
		for _, document := range cluster {
			if strings.Contains(strings.ToLower(document), "\nkind: "+kindOf(kind)) {
				gatekeeper.Apply(t, document)
			}
		}
	}

	signed, unsigned := push(t, store, "nginx:signed"), push(t, store, "nginx:unsigned")
	if _, err := store.SignCosign(t.Context(), signed, key, fixture.CosignOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := createPod(t, "namespace-1", signed.Reference.String()); err != nil {
		t.Errorf("the signed image: want it admitted, got %v", err)
	}
	_, err = createPod(t, "namespace-1", unsigned.Reference.String())
	wantRefused(t, err, "[cosign-gatekeeper-provider] invalid response: ",
		fmt.Sprintf(`{"errors": [[%q, %q]], "responses": [], "status_code": 200, "system_error": ""}`, unsigned.Reference.String(), unsigned.Reference.String()+"_invalid"))
	if _, err := createPod(t, shared.Cluster(t).Namespace(t, nil), unsigned.Reference.String()); err != nil {
		t.Errorf("a namespace that the constraint does not name: want it admitted, got %v", err)
	}
}

func kindOf(word string) string {
	return map[string]string{"provider": "provider", "template": "constrainttemplate", "constraint": "k8sexternaldatacosign"}[word]
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
	namespaceNamed(t, first)
	namespaceNamed(t, second)
	store := newRegistry(t)
	authority, leaf := newTeam(t)
	otherAuthority, otherLeaf := newTeam(t)
	values := examples.Values{Registry: store.Host(), Certificates: [][]byte{authority.PEM()}}
	policies, _ := fill(t, examples.KyvernoExtension, "policy", values)
	if err := os.WriteFile(filepath.Join(policies, "second.yaml"), fmt.Appendf(nil, team, second, otherAuthority.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := bonafideServe(t, "--policy", policies, "--insecure-registry", store.Host())
	values.Variables = map[string]string{"CA_BUNDLE_PEM": string(b.CABundle)}
	values.Text = map[string]string{"https://bonafide.bonafide-system:9443": b.URL}
	_, cluster := fill(t, examples.KyvernoExtension, "cluster", values)
	kyverno.Apply(t, cluster...)

	// sbom is what the document's policy asks of every image, licence what it
	// asks of the demo's besides.
	sbom := []byte(`{"creationInfo":{"licenseListVersion":"3.17"},"spdxVersion":"SPDX-2.3"}`)
	licence := func(expression string) []byte {
		return fmt.Appendf(nil, `{"bomFormat":"CycloneDX","components":[{"name":"zlib","licenses":[{"expression":%q}]}]}`, expression)
	}
	complete := func(t *testing.T, name string, by fixture.Leaf) fixture.Image {
		t.Helper()
		image := push(t, store, name)
		signNotation(t, store, by, image)
		attach(t, store, image, "sbom/cyclone-dx", sbom, &by)
		attach(t, store, image, "application/vnd.cyclonedx", licence("Zlib"), &by)
		return image
	}
	wantMutated := func(t *testing.T, namespace string, image fixture.Image) {
		t.Helper()
		pod, err := createPod(t, namespace, image.Reference.String())
		if err != nil {
			t.Error(err)
			return
		}
		if got, want := pod.Spec.Containers[0].Image, image.Pinned().String(); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
	signed := complete(t, "demo:signed", leaf)

	t.Run("Signed", func(t *testing.T) { wantMutated(t, first, signed) })
	t.Run("Unsigned", func(t *testing.T) {
		_, err := createPod(t, first, push(t, store, "demo:unsigned").Reference.String())
		wantRefused(t, err, "mutate.kyverno.svc-fail", "failed to fetch data for APICall: HTTP 406 Not Acceptable: failed to verify container demo: failed to verify image {{", "no signature is associated with")
	})
	t.Run("MissingSBOM", func(t *testing.T) {
		image := push(t, store, "demo:bare")
		signNotation(t, store, leaf, image)
		_, err := createPod(t, first, image.Reference.String())
		wantRefused(t, err, "HTTP 406 Not Acceptable", "failed to find attestation sbom/cyclone-dx in image")
	})
	t.Run("Licence", func(t *testing.T) {
		image := push(t, store, "demo:gpl")
		signNotation(t, store, leaf, image)
		attach(t, store, image, "sbom/cyclone-dx", sbom, &leaf)
		attach(t, store, image, "application/vnd.cyclonedx", licence("GPL-3.0"), &leaf)
		_, err := createPod(t, first, image.Reference.String())
		wantRefused(t, err, "HTTP 406 Not Acceptable", "failed to evaluate conditions")
	})
	t.Run("Tenants", func(t *testing.T) {
		theirs := complete(t, "other:signed", otherLeaf)
		wantMutated(t, second, theirs)
		_, err := createPod(t, first, theirs.Reference.String())
		wantRefused(t, err, "HTTP 406 Not Acceptable")
		_, err = createPod(t, second, signed.Reference.String())
		wantRefused(t, err, "HTTP 406 Not Acceptable")
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
		files, err := examples.Fill(examples.KyvernoExtension, "policy", values)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(policies, filepath.Base(f.Name)), f.Content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		after := complete(t, "other:after", otherLeaf)
		eventually(t, "the new store is in force", func(context.Context) error {
			_, err := createPod(t, first, after.Reference.String())
			return err
		})
		_, err = createPod(t, first, signed.Reference.String())
		wantRefused(t, err, "HTTP 406 Not Acceptable")
	})
}

// proofsRemembered is the line of the metrics that counts remembered proofs.
func proofsRemembered(t *testing.T, b *bonafide) string {
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
