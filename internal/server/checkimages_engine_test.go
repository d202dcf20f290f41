package server_test

import (
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
)

// must is for the making of test material.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// world is a real engine over a real registry, and the door in front of it.
type world struct {
	*fixture.Registry
	t       testing.TB
	folder  string // of policies
	engine  *engine.Engine
	metrics *server.Metrics
	server  *server.Server
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, fixture.Options{Referrers: true}, registry.Options{Clock: time.Now})
}

// newWorldOf has a registry of some kind, and some way to read it.
func newWorldOf(t testing.TB, kind fixture.Options, read registry.Options) *world {
	t.Helper()
	w := &world{t: t, folder: t.TempDir(), metrics: server.NewMetrics()}
	w.Registry = must[*fixture.Registry](t)(fixture.NewRegistry(kind))
	t.Cleanup(w.Close)
	read.InsecureHosts = []string{w.Host()}
	client := must[*registry.Client](t)(registry.New(read))
	t.Cleanup(client.Close)
	w.engine = must[*engine.Engine](t)(engine.New(client, engine.Options{Now: time.Now, Observer: w.metrics}))
	w.server = newServer(t, w.engine, func(o *server.Options) {
		o.Metrics = w.metrics
		o.Ready = func() error { return nil }
		o.CheckImages.TrustPolicies = func(name string) bool {
			for _, p := range w.engine.Snapshot().Policies() {
				if p.ByName == name {
					return true
				}
			}
			return false
		}
	})
	return w
}

// adopt writes policy files and decides by them from then on.
func (w *world) adopt(files map[string]string) {
	w.t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.folder, name+".yaml"), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	set := must[policyset.Set](w.t)(policyset.Load([]string{w.folder}, policyset.Options{
		Dialects: []dialect.Dialect{nirmata.New(policyset.Signers{}, nirmata.Options{})},
	}))
	w.engine.Swap(engine.NewSnapshot(set.Policies))
}

// image pushes an image and what is attached to it.
func (w *world) image(name string, marks ...func(fixture.Image) error) fixture.Image {
	w.t.Helper()
	image := must[fixture.Image](w.t)(w.PushImage(w.t.Context(), name, name))
	for _, mark := range marks {
		if err := mark(image); err != nil {
			w.t.Fatal(err)
		}
	}
	return image
}

// signed signs an image by Notation.
func (w *world) signed(by fixture.Leaf) func(fixture.Image) error {
	return func(image fixture.Image) error {
		_, err := w.SignNotation(w.t.Context(), image, by, fixture.NotationOptions{})
		return err
	}
}

// attached attaches an artifact, signed by everybody who is named.
func (w *world) attached(artifactType, content string, by ...fixture.Leaf) func(fixture.Image) error {
	return func(image fixture.Image) error {
		artifact, err := w.PushArtifact(w.t.Context(), image, artifactType, "application/json", []byte(content))
		for _, leaf := range by {
			if err == nil {
				_, err = w.SignNotation(w.t.Context(), artifact, leaf, fixture.NotationOptions{})
			}
		}
		return err
	}
}

// party is an authority with a signer.
type party struct {
	fixture.Authority
	leaf fixture.Leaf
}

func newParty(t testing.TB, name string) party {
	t.Helper()
	subject := func(cn string) pkix.Name {
		return pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{name}, CommonName: cn}
	}
	a := must[fixture.Authority](t)(fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("root")}))
	return party{a, must[fixture.Leaf](t)(a.Issue(fixture.CertificateOptions{Subject: subject("signer")}))}
}

// store is a TrustStore that holds a party's root.
func (p party) store(name string) string {
	return "apiVersion: notation.nirmata.io/v1alpha1\nkind: TrustStore\nmetadata: {name: store-" + name + "}\n" +
		"spec:\n  trustStoreName: " + name + "\n  type: ca\n  caBundle: |\n    " + strings.ReplaceAll(strings.TrimSpace(string(p.PEM())), "\n", "\n    ") + "\n"
}

// trustPolicy is a TrustPolicy for all images with one store.
func trustPolicy(name, level, store string) string {
	return "apiVersion: notation.nirmata.io/v1alpha1\nkind: TrustPolicy\nmetadata: {name: policy-" + name + "}\n" +
		"spec:\n  version: '1.0'\n  trustPolicyName: " + name + "\n  trustPolicies:\n" +
		"  - {name: all, registryScopes: ['*'], signatureVerification: {level: " + level + "}, trustStores: ['ca:" + store + "'], trustedIdentities: ['*']}\n"
}

// body asks about images by their containers' names.
func (w *world) body(trustPolicy string, images map[string]string, more string) string {
	w.t.Helper()
	containers := map[string]any{}
	for name, image := range images {
		path, tag, _ := strings.Cut(image, ":")
		containers[name] = map[string]string{
			"registry": w.Host(), "name": path[strings.LastIndex(path, "/")+1:], "path": path, "tag": tag,
			"reference": w.Host() + "/" + image, "referenceWithTag": w.Host() + "/" + image,
			"jsonPointer": "/spec/containers/" + fmt.Sprint(len(containers)) + "/image",
		}
	}
	raw := must[[]byte](w.t)(json.Marshal(map[string]any{"trustPolicy": trustPolicy, "images": map[string]any{"containers": containers}}))
	return strings.TrimSuffix(string(raw), "}") + more + "}"
}

// check asks about one image; it returns the patch's value, or the refusal.
func (w *world) check(trustPolicy, image, more string) (value, refusal string) {
	w.t.Helper()
	response := postCheck(w.server.Doors(), w.body(trustPolicy, map[string]string{"main": image}, more))
	if response.Code != http.StatusOK {
		return "", response.Body.String()
	}
	var answer struct {
		Verified bool
		Results  []struct{ Op, Path, Value, Name, Image string }
	}
	if err := json.Unmarshal(response.Body.Bytes(), &answer); err != nil || !answer.Verified || len(answer.Results) > 1 {
		w.t.Fatalf("want one result, got %s", response.Body)
	}
	if len(answer.Results) == 0 {
		return "", ""
	}
	return answer.Results[0].Value, ""
}

// want fails the test unless the image is verified (words is empty) or refused
// in these words.
func (w *world) want(trustPolicy, image, more string, words ...string) {
	w.t.Helper()
	value, refusal := w.check(trustPolicy, image, more)
	path, _, _ := strings.Cut(image, ":")
	verified := strings.HasPrefix(value, w.Host()+"/"+path+"@sha256:")
	if verified != (len(words) == 0) {
		w.t.Errorf("%s by %s: want verified %t, got %q %s", image, trustPolicy, len(words) == 0, value, refusal)
	}
	for _, word := range words {
		if !strings.Contains(refusal, strings.ReplaceAll(word, "HOST", w.Host())) {
			w.t.Errorf("%s by %s: want %q, got %s", image, trustPolicy, word, refusal)
		}
	}
}

func TestCheckImagesVerifies(t *testing.T) {
	w, acme, stranger := newWorld(t), newParty(t, "Acme"), newParty(t, "Stranger")
	w.adopt(map[string]string{
		"store": acme.store("acme"), "strict": trustPolicy("tp", "strict", "acme"), "audit": trustPolicy("tp-audit", "audit", "acme"),
		"logged": strings.Replace(trustPolicy("tp-logged", "strict", "acme"), "strict}", "strict, override: {authenticity: log, revocation: log}}", 1),
		"scoped": strings.NewReplacer("'*'], sig", "'"+w.Host()+"/acme/signed'], sig").Replace(trustPolicy("tp-scoped", "strict", "acme")),
		"skip": "apiVersion: notation.nirmata.io/v1alpha1\nkind: TrustPolicy\nmetadata: {name: policy-skip}\nspec:\n  version: '1.0'\n  trustPolicyName: tp-skip\n" +
			"  trustPolicies: [{name: s, registryScopes: ['" + w.Host() + "/acme/unsigned'], signatureVerification: {level: skip}}]\n",
	})
	signed := w.image("acme/signed:v1", w.signed(acme.leaf))
	w.image("acme/unsigned:v1")
	w.image("acme/stranger:v1", w.signed(stranger.leaf))
	w.image("acme/moved:v1", w.signed(acme.leaf))
	must[fixture.Image](t)(w.PushImage(t.Context(), "acme/moved:v1", "something else"))
	copied := w.image("acme/copied:v1")
	if err := w.CopySignatures(t.Context(), signed, copied); err != nil {
		t.Fatal(err)
	}
	w.want("tp", "acme/signed:v1", "")
	w.want("tp", "acme/unsigned:v1", "", `failed to verify container unsigned: failed to verify image {{HOST unsigned acme/unsigned v1  HOST/acme/unsigned:v1 HOST/acme/unsigned:v1} /spec/containers/0/image}: no signature is associated with "HOST/acme/unsigned@sha256:`,
		`", make sure the artifact was signed successfully`, "policy-tp/all")
	w.want("tp", "acme/stranger:v1", "", "descends from the trust store", "O=Stranger")
	w.want("tp", "acme/moved:v1", "", "no signature is associated with")
	w.want("tp", "acme/copied:v1", "", "a signature of")
	w.want("tp", "acme/missing:v1", "", "could not be decided")
	w.want("tp-scoped", "acme/signed:v1", "")
	w.want("tp-scoped", "acme/unsigned:v1", "", `no statement of trust policy "tp-scoped"`)
	// R29: what is not enforced is admitted only by the level that says so, and
	// only if somebody signed this image.
	for _, lax := range []string{"tp-audit", "tp-logged"} {
		w.want(lax, "acme/signed:v1", "")
		w.want(lax, "acme/stranger:v1", "")
		w.want(lax, "acme/unsigned:v1", "", "no signature is associated with")
		w.want(lax, "acme/copied:v1", "", "a signature of")
	}
	if value, refusal := w.check("tp-skip", "acme/unsigned:v1", ""); value != "" || refusal != "" {
		t.Errorf("want an image that is skipped to have no result, got %q %s", value, refusal)
	}
	w.want("tp-skip", "acme/signed:v1", "", "no statement")
	// The order of asking must not matter: what audit has admitted is no proof.
	w.want("tp", "acme/stranger:v1", "", "descends from the trust store")
}

// TestR29AdmittedSignatureCarriesANote: the decision says that nobody was asked
// for.
func TestR29AdmittedSignatureCarriesANote(t *testing.T) {
	w, acme, stranger := newWorld(t), newParty(t, "Acme"), newParty(t, "Stranger")
	w.adopt(map[string]string{"store": acme.store("acme"), "audit": trustPolicy("tp", "audit", "acme")})
	w.image("acme/stranger:v1", w.signed(stranger.leaf))
	var decided engine.Decision
	w.server = newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
		decided = w.engine.Decide(ctx, r)
		return decided
	}), checked)
	w.want("tp", "acme/stranger:v1", "")
	proof := decided.Images[0].Policies[0].Finding.Proofs[0]
	if !strings.Contains(strings.Join(proof.Notes, "\n"), "does not enforce who signed") || !strings.HasPrefix(proof.Identity, "claimed ") {
		t.Errorf("want a note and no identity, got %+v", proof)
	}
	if w := decided.Images[0].Policies[0]; w.Mode != policy.Enforce {
		t.Errorf("want a policy that enforces, got %s", w.Mode)
	}
}

// TestCheckImagesTenants: each namespace has its own trust policy and store.
func TestCheckImagesTenants(t *testing.T) {
	w, red, blue := newWorld(t), newParty(t, "Red"), newParty(t, "Blue")
	w.adopt(map[string]string{
		"stores": red.store("red") + "---\n" + blue.store("blue"),
		"tp":     trustPolicy("tp-red", "strict", "red") + "---\n" + trustPolicy("tp-blue", "strict", "blue"),
	})
	w.image("red/app:v1", w.signed(red.leaf))
	w.image("blue/app:v1", w.signed(blue.leaf))
	for range 2 { // cold and warm: what one has proven proves nothing for the other
		w.want("tp-red", "red/app:v1", "")
		w.want("tp-blue", "blue/app:v1", "")
		w.want("tp-red", "blue/app:v1", "", "O=Blue")
		w.want("tp-blue", "red/app:v1", "", "O=Red")
	}
	w.want("tp-green", "red/app:v1", "", "failed to create notation verifier: no trust policy found for trust policy tp-green\n")
}

// TestR34TrustStoreReplaced: another certificate under the same name is another
// signer, at once.
func TestR34TrustStoreReplaced(t *testing.T) {
	w, before, after := newWorld(t), newParty(t, "Before"), newParty(t, "After")
	w.adopt(map[string]string{"store": before.store("acme"), "tp": trustPolicy("tp", "strict", "acme")})
	w.image("acme/app:old", w.signed(before.leaf))
	w.image("acme/app:new", w.signed(after.leaf))
	w.want("tp", "acme/app:old", "")
	w.want("tp", "acme/app:new", "", "O=After")
	w.adopt(map[string]string{"store": after.store("acme")})
	w.want("tp", "acme/app:new", "")
	w.want("tp", "acme/app:old", "", "O=Before")
}

// TestCheckImagesByDigest: the digest that is named decides, whatever the tag
// beside it.
func TestCheckImagesByDigest(t *testing.T) {
	w, acme := newWorld(t), newParty(t, "Acme")
	w.adopt(map[string]string{"store": acme.store("acme"), "tp": trustPolicy("tp", "strict", "acme")})
	w.image("acme/app:signed", w.signed(acme.leaf))
	unsigned := w.image("acme/app:unsigned")
	body := strings.NewReplacer(
		`"tag":"signed"`, `"tag":"signed","digest":"`+unsigned.Digest.String()+`"`,
		`"reference":"`+w.Host()+`/acme/app:signed"`, `"reference":"`+w.Host()+`/acme/app@`+unsigned.Digest.String()+`"`,
	).Replace(w.body("tp", map[string]string{"main": "acme/app:signed"}, ""))
	response := postCheck(w.server.Doors(), body)
	if response.Code != http.StatusNotAcceptable || !strings.Contains(response.Body.String(), unsigned.Digest.String()) {
		t.Errorf("want the digest refused, got %d %s", response.Code, response.Body)
	}
}

// TestCheckImagesCacheShows: the second request is answered from memory, and the
// metrics say so.
func TestCheckImagesCacheShows(t *testing.T) {
	w, acme := newWorld(t), newParty(t, "Acme")
	w.adopt(map[string]string{"store": acme.store("acme"), "tp": trustPolicy("tp", "strict", "acme")})
	w.image("acme/app:v1", w.signed(acme.leaf))
	w.want("tp", "acme/app:v1", "")
	w.Reset()
	// The same image at another place of another Pod: the patch is for that place.
	body := strings.Replace(w.body("tp", map[string]string{"other": "acme/app:v1"}, ""), "/spec/containers/0/", "/spec/containers/7/", 1)
	response := postCheck(w.server.Doors(), body)
	if response.Code != http.StatusOK || !strings.Contains(response.Body.String(), `"/spec/containers/7/image"`) {
		t.Errorf("want a patch at the place that was asked, got %d %s", response.Code, response.Body)
	}
	if n := len(w.Requests()); n != 0 {
		t.Errorf("want no request to the registry, got %d", n)
	}
	recorder := httptest.NewRecorder()
	w.server.Status().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`bonafide_cache_lookups_total{cache="proof",hit="true"} 1`, `bonafide_cache_lookups_total{cache="tag",hit="true"} 1`,
		`bonafide_decisions_total{door="checkimages",outcome="allowed",reason=""} 2`,
	} {
		if !strings.Contains(recorder.Body.String(), line) {
			t.Errorf("want %s in the metrics", line)
		}
	}
}

const sbomCondition = `{"all":[{"key":"\\{{creationInfo.licenseListVersion}}","operator":"Equals","value":"3.17","message":"invalid license version"}]}`

func attestations(pattern, artifactType, conditions string) string {
	return `,"attestations":[{"imageReference":"` + pattern + `","type":[{"name":"` + artifactType + `","conditions":` + conditions + `}]}]`
}

// TestR23CheckImagesAttestations: artifacts are asked for beside the signature,
// each must be there, each signed, and each must say what is asked.
func TestR23CheckImagesAttestations(t *testing.T) {
	w, acme, stranger := newWorld(t), newParty(t, "Acme"), newParty(t, "Stranger")
	w.adopt(map[string]string{"store": acme.store("acme"), "tp": trustPolicy("tp", "strict", "acme")})
	const sbom, good, bad = "sbom/cyclone-dx", `{"creationInfo":{"licenseListVersion":"3.17"}}`, `{"creationInfo":{"licenseListVersion":"3.16"}}`
	w.image("acme/good:v1", w.signed(acme.leaf), w.attached(sbom, good, acme.leaf))
	w.image("acme/bad:v1", w.signed(acme.leaf), w.attached(sbom, bad, acme.leaf))
	w.image("acme/none:v1", w.signed(acme.leaf))
	w.image("acme/othertype:v1", w.signed(acme.leaf), w.attached("sbom/spdx", good, acme.leaf))
	w.image("acme/unsignedsbom:v1", w.signed(acme.leaf), w.attached(sbom, good))
	w.image("acme/strangersbom:v1", w.signed(acme.leaf), w.attached(sbom, good, stranger.leaf))
	w.image("acme/oneofeach:v1", w.signed(acme.leaf), w.attached(sbom, good, acme.leaf), w.attached(sbom, good+" "))
	w.image("acme/nojson:v1", w.signed(acme.leaf), w.attached(sbom, "no", acme.leaf))
	w.image("acme/unsigned:v1", w.attached(sbom, good, acme.leaf))
	const prefix = "failed to verify attestatations: failed to verify attestations: "
	asked := attestations("*", sbom, sbomCondition)
	for range 2 { // cold and warm
		w.want("tp", "acme/good:v1", asked)
		w.want("tp", "acme/bad:v1", asked, prefix+"failed to verify conditions HOST/acme/bad:v1 sha256:", "failed to evaluate conditions: ", "invalid license version")
		w.want("tp", "acme/none:v1", asked, prefix+"failed to find attestation sbom/cyclone-dx in image HOST/acme/none@sha256:")
		w.want("tp", "acme/othertype:v1", asked, prefix+"failed to find attestation sbom/cyclone-dx in image HOST/acme/othertype@sha256:")
		w.want("tp", "acme/unsignedsbom:v1", asked, prefix)
		w.want("tp", "acme/strangersbom:v1", asked, prefix)
		w.want("tp", "acme/oneofeach:v1", asked, prefix)
		w.want("tp", "acme/nojson:v1", asked, prefix)
		w.want("tp", "acme/unsigned:v1", asked, "failed to verify container unsigned", "no signature is associated with")
		// The pattern of the attestation decides for which images they are asked.
		w.want("tp", "acme/none:v1", attestations("ghcr.io/*", sbom, sbomCondition))
		w.want("tp", "acme/bad:v1", attestations("*", sbom, `{}`))
		w.want("tp", "acme/bad:v1", attestations("*/acme/bad", sbom, sbomCondition), prefix)
	}
}

// TestR32ElementOfTheReadme: the documented sample writes `{{ element… }}`,
// which the original never defined.
func TestR32ElementOfTheReadme(t *testing.T) {
	w, acme := newWorld(t), newParty(t, "Acme")
	w.adopt(map[string]string{"store": acme.store("acme"), "tp": trustPolicy("tp", "strict", "acme")})
	const kind = "application/vnd.cyclonedx"
	conditions := `{"all":[{"key":"\\{{ element.components[].licenses[].expression }}","operator":"AllNotIn","value":["GPL-2.0","GPL-3.0"]}]}`
	w.image("acme/free:v1", w.signed(acme.leaf), w.attached(kind, `{"components":[{"licenses":[{"expression":"MIT"}]}]}`, acme.leaf))
	w.image("acme/gpl:v1", w.signed(acme.leaf), w.attached(kind, `{"components":[{"licenses":[{"expression":"MIT"},{"expression":"GPL-3.0"}]}]}`, acme.leaf))
	w.image("acme/empty:v1", w.signed(acme.leaf), w.attached(kind, `{}`, acme.leaf))
	w.want("tp", "acme/free:v1", attestations("*", kind, conditions))
	w.want("tp", "acme/gpl:v1", attestations("*", kind, conditions), "failed to evaluate conditions")
	w.want("tp", "acme/empty:v1", attestations("*", kind, conditions), "failed to evaluate conditions")
}

// TestRecordedCheckImages replays what Kyverno 1.19.1 sent for a Pod, end to
// end: two of its images are in the registry, the third is not asked for.
func TestRecordedCheckImages(t *testing.T) {
	w, acme := newWorld(t), newParty(t, "Acme")
	w.adopt(map[string]string{"store": acme.store("acme"), "tp": trustPolicy("tp-test-venafi", "strict", "acme")})
	sbom := w.attached("sbom/cyclone-dx", `{"creationInfo":{"licenseListVersion":"3.17"}}`, acme.leaf)
	sarif := w.attached("application/sarif+json", `{"components":[{"licenses":[{"expression":"MIT"}]}]}`, acme.leaf)
	main := w.image("notation-0:v1", w.signed(acme.leaf), sbom, sarif)
	setup := w.image("notation-1:v1", w.signed(acme.leaf), sbom, sarif)
	body := strings.ReplaceAll(string(recordedCheck(t)), "127.0.0.1:5000", w.Host())
	selected := strings.Replace(body, `"images"`, `"imageReferences": ["`+w.Host()+`/*"], "images"`, 1)
	response := postCheck(w.server.Doors(), selected)
	var answer struct {
		Verified bool             `json:"verified"`
		Results  []map[string]any `json:"results"`
	}
	if err := json.Unmarshal(response.Body.Bytes(), &answer); err != nil || response.Code != http.StatusOK {
		t.Fatalf("want 200, got %d %s", response.Code, response.Body)
	}
	result := func(name, path string, image fixture.Image) map[string]any {
		value := image.Pinned().String()
		return map[string]any{"op": "replace", "path": path, "value": value, "name": name, "image": value}
	}
	want := []map[string]any{result("app", "/spec/containers/0/image", main), result("setup", "/spec/initContainers/0/image", setup)}
	if diff := cmp.Diff(want, answer.Results); diff != "" || !answer.Verified {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Without the pattern the third image is asked for, and nobody signed that.
	response = postCheck(w.server.Doors(), body)
	if response.Code != http.StatusNotAcceptable || !strings.HasPrefix(response.Body.String(), "failed to verify container busybox: failed to verify image {{docker.io busybox busybox latest  docker.io/busybox:latest docker.io/busybox:latest} /spec/containers/1/image}: ") {
		t.Errorf("want 406, got %d %s", response.Code, response.Body)
	}
}
