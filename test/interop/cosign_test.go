//go:build interop

package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// offline are the flags with which cosign signs with a key and asks nobody.
func offline(bundle bool, more ...string) []string {
	return append([]string{
		"--key", "release.key", "--tlog-upload=false", "--use-signing-config=false", fmt.Sprintf("--new-bundle-format=%t", bundle), "--allow-http-registry", "-y",
	}, more...)
}

// newCosign is a cosign with the key as release.key and release.pub.
func newCosign(t *testing.T) (*rig.Cosign, fixture.Key) {
	t.Helper()
	key := rig.NewKey(t)
	cosign := rig.NewCosign(t)
	cosign.ImportKey(t, "release", key.Signer)
	return cosign, key
}

// TestCosignAcceptsWhatTheFixtureSigns keeps the tests' own signatures, on
// which most tests stand, to what cosign takes for one.
func TestCosignAcceptsWhatTheFixtureSigns(t *testing.T) {
	cosign, key := newCosign(t)
	cosign.Write(t, "stranger.pub", rig.NewKey(t).PublicPEM)
	store := newRegistry(t)
	sign := map[string]func(fixture.Image) error{
		"simple": func(i fixture.Image) error {
			_, err := store.SignCosign(t.Context(), i, key, fixture.CosignOptions{})
			return err
		},
		"bundle": func(i fixture.Image) error {
			_, err := store.SignBundle(t.Context(), i, key, fixture.BundleOptions{})
			return err
		},
	}
	for name, sign := range sign {
		image := rig.Push(t, store, "acme/app:"+name)
		verify := func(public string) error {
			_, err := cosign.Run(t.Context(), "verify", "--key", public, "--insecure-ignore-tlog=true", "--allow-http-registry",
				fmt.Sprintf("--new-bundle-format=%t", name == "bundle"), image.Pinned().String())
			return err
		}
		if err := verify("release.pub"); err == nil {
			t.Errorf("%s: want it refused before it is signed", name)
		}
		if err := sign(image); err != nil {
			t.Fatal(err)
		}
		if err := verify("release.pub"); err != nil {
			t.Errorf("%s: want it accepted, got %v", name, err)
		}
		if err := verify("stranger.pub"); err == nil {
			t.Errorf("%s: want it refused by another key", name)
		}
	}
}

// TestBonafideAcceptsWhatCosignSigns is the other direction.
func TestBonafideAcceptsWhatCosignSigns(t *testing.T) {
	cosign, key := newCosign(t)
	store := newRegistry(t)
	public := writeFile(t, "cosign.pub", key.PublicPEM)
	for name, sign := range map[string][]string{"simple": offline(false), "bundle": offline(true)} {
		image := rig.Push(t, store, "acme/app:"+name)
		verify := func() error {
			return exec.Command(shared.Command(t), "verify", "--key", public, "--insecure-ignore-tlog", "--insecure-registry", store.Host(), image.Reference.String()).Run()
		}
		if err := verify(); err == nil {
			t.Errorf("%s: want it denied before it is signed", name)
		}
		cosign.MustRun(t, slices.Concat([]string{"sign"}, sign, []string{image.Pinned().String()})...)
		if err := verify(); err != nil {
			t.Errorf("%s: want it allowed, got %v", name, err)
		}
	}
}

// A stored attestation is what cosign attest left in the registry.
type stored struct {
	Attached            string // tag or referrer
	ArtifactType        string
	LayerMediaType      string
	Annotations         map[string]string // of the layer or, of a referrer, the manifest; the time left out
	StatementType       string
	PredicateType       string
	PayloadType         string
	Predicate           map[string]any
	SignatureInEnvelope bool
}

// provenance02 has fields that SLSA provenance v0.2 does not know.
const provenance02 = `{"builder":{"id":"https://ci.example/builder"},"buildType":"https://ci.example/build","recipe":{"type":"https://ci.example/recipe"}}`

// TestWhereCosignPutsAttestations records how cosign stores what a verifier of
// attestations has to find.
func TestWhereCosignPutsAttestations(t *testing.T) {
	const (
		slsa02    = "https://slsa.dev/provenance/v0.2"
		slsa1     = "https://slsa.dev/provenance/v1"
		slsa1Body = `{"buildDefinition":{"buildType":"https://ci.example/build","externalParameters":{}},"runDetails":{"builder":{"id":"https://ci.example/builder"}}}`
	)
	known := map[string]any{"builder": map[string]any{"id": "https://ci.example/builder"}, "buildType": "https://ci.example/build"}
	whole := map[string]any{"builder": known["builder"], "buildType": known["buildType"], "recipe": map[string]any{"type": "https://ci.example/recipe"}}
	version1 := map[string]any{
		"buildDefinition": map[string]any{"buildType": "https://ci.example/build", "externalParameters": map[string]any{}},
		"runDetails":      map[string]any{"builder": map[string]any{"id": "https://ci.example/builder"}},
	}
	cases := map[string]struct {
		reason        string
		kind          string
		predicate     string
		bundle        bool
		predicateType string
		want          map[string]any
	}{
		"Legacy02":       {reason: "by its name a provenance loses the fields that its version does not have", kind: "slsaprovenance", predicate: provenance02, predicateType: slsa02, want: known},
		"Legacy02ByURI":  {reason: "by its URI the predicate is kept as it is", kind: slsa02, predicate: provenance02, predicateType: slsa02, want: whole},
		"Legacy1":        {reason: "version 1 is stored alike", kind: "slsaprovenance1", predicate: slsa1Body, predicateType: slsa1, want: version1},
		"Bundle02":       {reason: "a bundle loses the same fields", kind: "slsaprovenance", predicate: provenance02, bundle: true, predicateType: slsa02, want: known},
		"Bundle02ByURI":  {reason: "a bundle by URI keeps them", kind: slsa02, predicate: provenance02, bundle: true, predicateType: slsa02, want: whole},
		"Bundle1":        {reason: "version 1 is a bundle alike", kind: "slsaprovenance1", predicate: slsa1Body, bundle: true, predicateType: slsa1, want: version1},
		"BundleAnything": {reason: "any URI is a predicate type", kind: "https://ci.example/tests/v1", predicate: `{"passed":true}`, bundle: true, predicateType: "https://ci.example/tests/v1", want: map[string]any{"passed": true}},
	}
	cosign, _ := newCosign(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			store := newRegistry(t)
			image := rig.Push(t, store, "acme/app:v1")
			file := cosign.Write(t, "predicate.json", []byte(tc.predicate))
			cosign.MustRun(t, slices.Concat([]string{"attest", "--type", tc.kind, "--predicate", file}, offline(tc.bundle, image.Pinned().String()))...)
			want := stored{
				Attached: "tag .att", LayerMediaType: "application/vnd.dsse.envelope.v1+json",
				Annotations:   map[string]string{"dev.cosignproject.cosign/signature": "", "predicateType": tc.predicateType},
				StatementType: "https://in-toto.io/Statement/v0.1", PredicateType: tc.predicateType, PayloadType: "application/vnd.in-toto+json",
				Predicate: tc.want, SignatureInEnvelope: true,
			}
			if tc.bundle {
				want.Attached, want.ArtifactType, want.LayerMediaType = "referrer", fixture.MediaTypeBundle, fixture.MediaTypeBundle
				want.Annotations = map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": tc.predicateType}
			}
			if diff := cmp.Diff(want, readAttestation(t, store, image)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			cosign.MustRun(t, "verify-attestation", "--key", "release.pub", "--type", tc.kind, "--insecure-ignore-tlog=true", "--allow-http-registry",
				fmt.Sprintf("--new-bundle-format=%t", tc.bundle), image.Pinned().String())
		})
	}
}

// readAttestation reads the one attestation of an image, wherever it is.
func readAttestation(t *testing.T, store *fixture.Registry, image fixture.Image) stored {
	t.Helper()
	referrers, err := store.Referrers(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	if len(referrers) > 1 {
		t.Fatalf("want one referrer at most, got %d", len(referrers))
	}
	s := stored{Attached: "tag .att"}
	var raw []byte
	if len(referrers) == 1 {
		s.Attached, raw = "referrer", referrers[0].Raw
	} else {
		ref, err := store.Reference(image.Reference.Repository().Path() + ":sha256-" + image.Digest.Hex() + ".att")
		if err != nil {
			t.Fatal(err)
		}
		if raw, _, err = store.Manifest(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	var manifest v1.Manifest
	unmarshal(t, raw, &manifest)
	if len(manifest.Layers) != 1 {
		t.Fatalf("want one layer, got %s", raw)
	}
	layer := manifest.Layers[0]
	s.ArtifactType, s.LayerMediaType, s.Annotations = manifest.ArtifactType, layer.MediaType, layer.Annotations
	if s.Attached == "referrer" {
		s.Annotations = manifest.Annotations
		delete(s.Annotations, v1.AnnotationCreated)
	}
	s.readEnvelope(t, store, image, layer)
	return s
}

// readEnvelope reads the statement out of an envelope or a bundle.
func (s *stored) readEnvelope(t *testing.T, store *fixture.Registry, image fixture.Image, layer v1.Descriptor) {
	t.Helper()
	digest, err := imageref.ParseDigest(layer.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	content, err := store.Blob(t.Context(), image.Reference.Repository(), digest)
	if err != nil {
		t.Fatal(err)
	}
	type envelope struct {
		Payload, PayloadType string
		Signatures           []struct{ Sig string }
	}
	var read struct {
		envelope
		DSSEEnvelope *envelope `json:"dsseEnvelope"`
	}
	unmarshal(t, content, &read)
	e := read.envelope
	if read.DSSEEnvelope != nil {
		e = *read.DSSEEnvelope
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var statement struct {
		Type          string `json:"_type"`
		PredicateType string
		Predicate     map[string]any
		Subject       []struct{ Digest map[string]string }
	}
	unmarshal(t, payload, &statement)
	if len(statement.Subject) != 1 || statement.Subject[0].Digest["sha256"] != image.Digest.Hex() {
		t.Errorf("want the image as the one subject, got %s", payload)
	}
	s.StatementType, s.PredicateType, s.Predicate, s.PayloadType = statement.Type, statement.PredicateType, statement.Predicate, e.PayloadType
	s.SignatureInEnvelope = len(e.Signatures) == 1 && e.Signatures[0].Sig != ""
}

func unmarshal(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("read %s: %v", raw, err)
	}
}
