package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// chainsLayer is what the form of a layer that Chains wrote comes down to.
type chainsLayer struct {
	MediaType     string
	Annotations   map[string]string // "…" in the place of a signature
	PayloadType   string
	Type          string // of the statement
	PredicateType string
	BuildType     string
}

// What Chains writes is unlike what cosign writes: a certificate and a chain that
// are there and empty, a key id, no annotated predicate type, and all attestations
// of an image in one manifest. A recording of other forms would test less.
func TestChainsForms(t *testing.T) {
	store := rig.NewStore(t, fixture.Options{})
	images, err := store.LoadLayout(t.Context(), filepath.Join("testdata", "chains", "layout"), "tekton/app")
	if err != nil {
		t.Fatal(err)
	}
	attested := images["everything"].Digest
	signature := strings.TrimSuffix(fixture.AttestationTag(attested), ".att") + ".sig"
	want := []chainsLayer{{
		MediaType:   "application/vnd.dev.cosign.simplesigning.v1+json",
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": "…", "dev.sigstore.cosign/certificate": "", "dev.sigstore.cosign/chain": ""},
	}}
	if diff := cmp.Diff(want, chainsLayers(t, store, images[signature])); diff != "" {
		t.Errorf("signature (-want +got):\n%s", diff)
	}
	want = nil
	for _, run := range []string{"TaskRun", "PipelineRun"} {
		for _, statement := range []chainsLayer{
			{Type: fixture.StatementV01, PredicateType: fixture.PredicateTypeSLSA02, BuildType: "tekton.dev/v1/" + run},
			{Type: fixture.StatementV1, PredicateType: fixture.PredicateTypeSLSA1, BuildType: "https://tekton.dev/chains/v2/slsa"},
		} {
			statement.MediaType, statement.PayloadType = fixture.MediaTypeEnvelope, fixture.PayloadTypeInToto
			statement.Annotations = map[string]string{"dev.cosignproject.cosign/signature": "", "dev.sigstore.cosign/certificate": "", "dev.sigstore.cosign/chain": ""}
			want = append(want, statement)
		}
	}
	if diff := cmp.Diff(want, chainsLayers(t, store, images[fixture.AttestationTag(attested)])); diff != "" {
		t.Errorf("attestations (-want +got):\n%s", diff)
	}
}

func chainsLayers(t *testing.T, store *fixture.Registry, of fixture.Image) []chainsLayer {
	t.Helper()
	var manifest v1.Manifest
	if err := json.Unmarshal(of.Raw, &manifest); err != nil {
		t.Fatalf("expected a manifest, got %q: %v", of.Raw, err)
	}
	var layers []chainsLayer
	for _, d := range manifest.Layers {
		digest, err := imageref.ParseDigest(d.Digest.String())
		if err != nil {
			t.Fatal(err)
		}
		content, err := store.Blob(t.Context(), of.Reference.Repository(), digest)
		if err != nil {
			t.Fatal(err)
		}
		layer := chainsLayer{MediaType: d.MediaType, Annotations: d.Annotations}
		if layer.Annotations["dev.cosignproject.cosign/signature"] != "" {
			layer.Annotations["dev.cosignproject.cosign/signature"] = "…"
		}
		layer.read(t, content)
		layers = append(layers, layer)
	}
	return layers
}

// read fills in what an envelope holds; a simple signing payload is none.
func (l *chainsLayer) read(t *testing.T, content []byte) {
	t.Helper()
	var envelope struct {
		PayloadType, Payload string
		Signatures           []struct{ KeyID string }
	}
	if err := json.Unmarshal(content, &envelope); err != nil {
		t.Fatal(err)
	}
	if envelope.Payload == "" {
		return
	}
	if len(envelope.Signatures) != 1 || !strings.HasPrefix(envelope.Signatures[0].KeyID, "SHA256:") {
		t.Errorf("want one signature with a fingerprint as key id, got %+v", envelope.Signatures)
	}
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var statement struct {
		Type          string `json:"_type"`
		PredicateType string
		Predicate     struct {
			BuildType       string
			BuildDefinition struct{ BuildType string }
		}
	}
	if err := json.Unmarshal(payload, &statement); err != nil {
		t.Fatal(err)
	}
	l.PayloadType, l.Type, l.PredicateType = envelope.PayloadType, statement.Type, statement.PredicateType
	l.BuildType = statement.Predicate.BuildType + statement.Predicate.BuildDefinition.BuildType
}
