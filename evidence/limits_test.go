package evidence_test

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

func TestR1DefaultCaps(t *testing.T) {
	type caps struct {
		Referrers, SignatureLayers                   int
		Children, IndexDepth, AttestationManifests   int
		SignatureBytes, DecisionBytes, ManifestBytes int64
	}
	want := caps{50, 100, 64, 3, 10, 10 << 20, 64 << 20, 4 << 20}
	got := caps{
		evidence.MaxReferrers, evidence.MaxSignatureLayers, evidence.MaxChildren, evidence.MaxIndexDepth, evidence.MaxAttestationManifests,
		evidence.MaxSignatureBytes, evidence.MaxDecisionBytes, evidence.MaxManifestBytes,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestR1ReferrersAreCapped(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	for i := range evidence.MaxReferrers + 3 {
		m.list(m.attach(image, bundle(fmt.Sprint(i))))
	}
	got, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Items) != evidence.MaxReferrers || !got.Cut {
		t.Errorf("want %d items and a cut, got %d, %t", evidence.MaxReferrers, len(got.Items), got.Cut)
	}
}

// TestR5UnrelatedReferrersDoNotCut has one signature behind many reports: what
// is not read in the first look does not count, and is cut only in the second.
func TestR5UnrelatedReferrersDoNotCut(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	for i := range evidence.MaxReferrers + 3 {
		m.list(m.attach(image, referrer{artifactType: "application/spdx+json", layerType: "application/spdx+json", content: fmt.Sprint(i)}))
	}
	m.list(m.attach(image, bundle("b")))
	first, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Sigstore bundle: b"}, payloads(first)); diff != "" || first.Cut {
		t.Errorf("cut %t, -want +got:\n%s", first.Cut, diff)
	}
	more, err := evidence.Extend(t.Context(), m, first, exhaustive(sigstoreNeed))
	if err != nil {
		t.Fatal(err)
	}
	if !more.Cut || more.Partial || len(more.Problems) != 0 {
		t.Errorf("want a cut list and no more to look at, got cut %t, partial %t, %v", more.Cut, more.Partial, more.Problems)
	}
}

func TestR1SignatureLayersAreCapped(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	var layers []map[string]any
	for i := range evidence.MaxSignatureLayers + 1 {
		layers = append(layers, m.simple(i))
	}
	m.signed(image, layers...)
	got, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Items) != evidence.MaxSignatureLayers || !got.Cut {
		t.Errorf("want %d items and a cut, got %d, %t", evidence.MaxSignatureLayers, len(got.Items), got.Cut)
	}
}

func TestR1SizesAreCapped(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.signed(image, m.blob(typeSimple, strings.Repeat("x", 101), nil), m.blob(typeSimple, strings.Repeat("y", 100), nil))
	f := evidence.Finder{Limits: evidence.Limits{SignatureBytes: 100}}
	got, err := f.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Items) != 1 || got.Items[0].Layer != 1 {
		t.Errorf("want the second layer alone, got %q", payloads(got))
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.LimitExceeded}, reasons(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	large := m.attach(image, bundle("b"))
	large.Size = evidence.MaxManifestBytes + 1
	m.list(large)
	got, err = evidence.Discover(t.Context(), m, image, evidence.Need{Bundle: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.LimitExceeded}, reasons(got)); diff != "" {
		t.Errorf("a large referrer: -want +got:\n%s", diff)
	}
}

func TestR1DecisionBytesAreCapped(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	for i := range 5 {
		m.list(m.attach(image, bundle(strings.Repeat(fmt.Sprint(i), 1000))))
	}
	var manifests int64
	for _, d := range m.listed {
		manifests += d.Size
	}
	f := evidence.Finder{Limits: evidence.Limits{DecisionBytes: manifests + 2500}}
	got, err := f.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Items) != 2 || !got.Cut {
		t.Errorf("want two bundles of a thousand bytes and a cut, got %d, %t", len(got.Items), got.Cut)
	}
	more, err := f.Extend(t.Context(), m, got, exhaustive(sigstoreNeed))
	if err != nil {
		t.Fatal(err)
	}
	if len(more.Items) != 2 || !more.Cut {
		t.Errorf("want the bytes counted over both looks, got %d items", len(more.Items))
	}
}

func TestR2ListedSizeMustBeTrue(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	d := m.attach(image, bundle("b"))
	d.Size = 1 // to take less of the bytes for one decision
	m.list(d)
	got, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.MalformedManifest}, reasons(got)); diff != "" || len(got.Items) != 0 {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestR2SourceMixesThingsUp holds a careless source to the digests.
func TestR2SourceMixesThingsUp(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.signed(image, m.simple(1))
	m.blobs[imageref.DigestOf([]byte("payload 1"))] = []byte("payload 2")
	d, other := m.attach(image, bundle("b")), m.attach(image, bundle("c"))
	m.manifests[d.Digest.String()] = m.manifests[other.Digest.String()]
	m.list(d)
	got, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.DigestMismatch, evidence.DigestMismatch}, reasons(got)); diff != "" || len(got.Items) != 0 {
		t.Errorf("-want +got:\n%s", diff)
	}

	m.manifests[image.Digest().String()] = m.manifests[other.Digest.String()]
	if _, err := evidence.Resolve(t.Context(), m, m.repository.WithDigest(image.Digest())); evidence.ProblemOf(err).Reason != evidence.DigestMismatch {
		t.Errorf("want DigestMismatch, got %v", err)
	}
}

// TestLongDigests has an image by sha512: cosign's tag would be too long to
// exist, the referrers tag is cut.
func TestLongDigests(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	sum := sha512.Sum512(image.Manifest.Raw)
	long, err := imageref.ParseDigest("sha512:" + hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	m.manifests[long.String()] = image.Manifest
	resolved, err := evidence.Resolve(t.Context(), m, m.repository.WithDigest(long))
	if err != nil || resolved.Digest() != long {
		t.Fatalf("want the digest that was asked for, got %v, %v", resolved.Digest(), err)
	}
	m.taken()
	got, err := evidence.Discover(t.Context(), m, resolved, exhaustive(sigstoreNeed))
	if err != nil || len(got.Problems) != 0 {
		t.Fatalf("got %v, %v", got.Problems, err)
	}
	want := map[string]bool{"referrers": true, "manifest sha512-" + long.Hex()[:64]: true}
	asked := map[string]bool{}
	for _, r := range m.taken() {
		asked[r] = true
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
