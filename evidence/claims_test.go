package evidence_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

const (
	typeEnvelope = "application/vnd.dsse.envelope.v1+json"
	typeSPDX     = "application/spdx+json"
	typeInToto   = "application/vnd.in-toto+json"
)

// attested puts layers under the image's attestation tag.
func (m *memory) attested(image evidence.Image, layers ...map[string]any) {
	m.manifests[referrersTag(image)+".att"] = m.manifest(evidence.MediaTypeImage, map[string]any{"config": m.blob(typeConfig, "{}", nil), "layers": layers})
}

func sbom(content string) referrer {
	return referrer{artifactType: typeSPDX, layerType: typeSPDX, content: content}
}

func envelopes(content string, layers int) referrer {
	return referrer{artifactType: typeInToto, layerType: typeEnvelope, content: content, layers: layers}
}

// found names items by format and payload, artifacts by their type.
func found(s evidence.Set) []string {
	var all []string
	for _, item := range s.Items {
		what := string(item.Payload)
		if item.Format == evidence.Artifact {
			what = item.MediaType
		}
		all = append(all, item.Format.String()+": "+what)
	}
	return all
}

func TestDiscoverClaims(t *testing.T) {
	attestations := evidence.Need{Envelope: true, Bundle: true}
	artifacts := evidence.Need{Artifact: true}
	exhaustive := evidence.Need{Artifact: true, Exhaustive: true}
	cases := map[string]struct {
		reason  string
		need    evidence.Need
		arrange func(m *memory, image evidence.Image)
		want    []string
		because []evidence.Reason
		partial bool
	}{
		"AttestationTag": {
			"every layer is one", attestations,
			func(m *memory, i evidence.Image) {
				m.attested(i, m.blob(typeEnvelope, "a", nil), m.blob("text/plain", "b", nil), m.blob(typeEnvelope, "c", nil))
			},
			[]string{"cosign attestation: a", "cosign attestation: c"}, nil, true,
		},
		"Mixed": {
			"tag and referrers are joined", attestations,
			func(m *memory, i evidence.Image) {
				m.attested(i, m.blob(typeEnvelope, "a", nil))
				m.list(m.attach(i, bundle("b")))
			},
			[]string{"cosign attestation: a", "Sigstore bundle: b"}, nil, true,
		},
		"EnvelopeReferrer": {
			"cosign without its bundles: envelopes as layers of one referrer", attestations,
			func(m *memory, i evidence.Image) { m.list(m.attach(i, envelopes("a", 2))) },
			[]string{"cosign attestation: a", "cosign attestation: a+"}, nil, true,
		},
		"EnvelopeReferrerAlone": {
			"a need for envelopes lists referrers too, by the tag where there is no API", evidence.Need{Envelope: true},
			func(m *memory, i evidence.Image) { m.noAPI = true; m.tag(i, m.attach(i, envelopes("a", 1))) },
			[]string{"cosign attestation: a"}, nil, false,
		},
		"EnvelopeReferrerByConfig": {
			"the type that only the config says", attestations,
			func(m *memory, i evidence.Image) {
				m.list(m.attach(i, referrer{configType: typeInToto, layerType: typeEnvelope, content: "a"}))
			},
			[]string{"cosign attestation: a"}, nil, true,
		},
		"EnvelopeByItsLayer": {
			"an envelope in a referrer of a type that says nothing", attestations,
			func(m *memory, i evidence.Image) {
				m.list(m.attach(i, referrer{layerType: typeEnvelope, content: "a"}))
			},
			[]string{"cosign attestation: a"}, nil, true,
		},
		"EnvelopeInATypedStatement": {
			"a producer that names its layer after the statement, or not at all", attestations,
			func(m *memory, i evidence.Image) {
				m.list(m.attach(i, referrer{artifactType: typeInToto, layerType: typeInToto, content: "a", layers: 2}),
					m.attach(i, referrer{artifactType: typeInToto, layerType: "application/octet-stream", content: "b"}),
					m.attach(i, referrer{artifactType: typeInToto, layerType: "application/octet-stream", content: "c", layers: 2}))
			},
			[]string{"cosign attestation: a", "cosign attestation: a+", "cosign attestation: b"}, nil, true,
		},
		"EnvelopeIsAnArtifactToo": {
			"which may itself be signed", evidence.Need{Envelope: true, Artifact: true},
			func(m *memory, i evidence.Image) { m.list(m.attach(i, envelopes("a", 1))) },
			[]string{"cosign attestation: a", "artifact: " + typeInToto}, nil, true,
		},
		"R22EnvelopeUnderAnotherHint": {
			"the list's word is a hint", evidence.Need{Envelope: true, Exhaustive: true},
			func(m *memory, i evidence.Image) { m.list(m.attach(i, hinted(envelopes("a", 1), typeSPDX))) },
			[]string{"cosign attestation: a"}, nil, false,
		},
		"R22EnvelopeOfAnotherImage": {
			"its own subject counts", attestations,
			func(m *memory, i evidence.Image) {
				other, loose := envelopes("a", 1), envelopes("b", 1)
				other.subject = &evidence.Descriptor{MediaType: evidence.MediaTypeImage, Digest: imageref.DigestOf([]byte("other")), Size: 5}
				loose.noSubject = true
				m.list(m.attach(i, other), m.attach(i, loose))
			},
			nil, []evidence.Reason{evidence.SubjectMismatch, evidence.SubjectMismatch}, true,
		},
		"TagIsAnIndex": {
			"a tag that holds a list is no attestation", attestations,
			func(m *memory, i evidence.Image) {
				m.manifests[referrersTag(i)+".att"] = m.manifest(evidence.MediaTypeIndex, map[string]any{"manifests": []any{}})
			},
			nil, []evidence.Reason{evidence.MalformedManifest}, true,
		},
		"NotAskedFor": {
			"a signature needs none", evidence.Need{SimpleSigning: true},
			func(m *memory, i evidence.Image) { m.attested(i, m.blob(typeEnvelope, "a", nil)) },
			nil, nil, false,
		},
		"R48TagFails": {
			"what could not be read is a problem", attestations,
			func(m *memory, i evidence.Image) { m.fail["manifest "+referrersTag(i)+".att"] = errBoom },
			nil, []evidence.Reason{evidence.Internal}, true,
		},
		"Artifact": {
			"its manifest, and nothing of it", artifacts,
			func(m *memory, i evidence.Image) { m.list(m.attach(i, sbom("{}"))) },
			[]string{"artifact: " + typeSPDX}, nil, true,
		},
		"ArtifactByConfig": {
			"a type that only the config says", artifacts,
			func(m *memory, i evidence.Image) {
				m.list(m.attach(i, referrer{configType: "application/vnd.example", layerType: "text/plain", content: "x"}))
			},
			[]string{"artifact: application/vnd.example"}, nil, true,
		},
		"SignaturesAreNoArtifacts": {
			"a signature is evidence, not an artifact", exhaustive,
			func(m *memory, i evidence.Image) { m.list(m.attach(i, bundle("b")), m.attach(i, notation("n"))) },
			nil, nil, false,
		},
		"R22HintOfAnotherType": {
			"the list's word is a hint", exhaustive,
			func(m *memory, i evidence.Image) { m.list(m.attach(i, hinted(sbom("{}"), typeNotation))) },
			[]string{"artifact: " + typeSPDX}, nil, false,
		},
		"R22OfAnotherImage": {
			"its own subject counts", artifacts,
			func(m *memory, i evidence.Image) {
				other := sbom("{}")
				other.subject = &evidence.Descriptor{MediaType: evidence.MediaTypeImage, Digest: imageref.DigestOf([]byte("other")), Size: 5}
				m.list(m.attach(i, other))
			},
			nil, []evidence.Reason{evidence.SubjectMismatch}, true,
		},
		"R22WithoutSubject": {
			"one that names no image is about none", artifacts,
			func(m *memory, i evidence.Image) {
				other := sbom("{}")
				other.noSubject = true
				m.list(m.attach(i, other))
			},
			nil, []evidence.Reason{evidence.SubjectMismatch}, true,
		},
		"FallbackTag": {
			"a registry without the API", artifacts,
			func(m *memory, i evidence.Image) { m.noAPI = true; m.tag(i, m.attach(i, sbom("{}"))) },
			[]string{"artifact: " + typeSPDX}, nil, false,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			image := m.image("app")
			tc.arrange(m, image)
			s, err := evidence.Discover(t.Context(), m, image, tc.need)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, found(s)); diff != "" {
				t.Errorf("%s: items (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.because, reasons(s)); diff != "" {
				t.Errorf("%s: problems (-want +got):\n%s", tc.reason, diff)
			}
			if s.Partial != tc.partial {
				t.Errorf("%s: partial: want %t, got %t", tc.reason, tc.partial, s.Partial)
			}
		})
	}
}

// Whoever may push attestations must not be able to crowd out signatures.
func TestR1AttestationLayersAreCapped(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.signed(image, m.simple(1))
	m.attested(image, slices.Repeat([]map[string]any{m.blob(typeEnvelope, "a", nil)}, evidence.MaxSignatureLayers+1)...)
	s, err := evidence.Discover(t.Context(), m, image, evidence.Need{SimpleSigning: true, Envelope: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Items) != evidence.MaxSignatureLayers+1 || !s.Cut || s.Items[0].Format != evidence.SimpleSigning {
		t.Errorf("want the signature, %d attestations and a cut list, got %d items, cut %t", evidence.MaxSignatureLayers, len(s.Items), s.Cut)
	}
}

// Envelopes of referrers count like those of the tag.
func TestR1EnvelopesOfReferrersAreCapped(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.attested(image, slices.Repeat([]map[string]any{m.blob(typeEnvelope, "a", nil)}, evidence.MaxSignatureLayers-1)...)
	m.list(m.attach(image, envelopes("b", 3)))
	s, err := evidence.Discover(t.Context(), m, image, evidence.Need{Envelope: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Items) != evidence.MaxSignatureLayers || !s.Cut {
		t.Errorf("want %d attestations and a cut list, got %d items, cut %t", evidence.MaxSignatureLayers, len(s.Items), s.Cut)
	}
}

// A verifier needs what cosign writes beside an envelope.
func TestEnvelopeReferrerKeepsItsAnnotations(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	r := envelopes("a", 1)
	r.annotations = map[string]string{"dev.sigstore.cosign/certificate": "", "dev.sigstore.cosign/bundle": "{}"}
	m.list(m.attach(image, r))
	s, err := evidence.Discover(t.Context(), m, image, evidence.Need{Envelope: true})
	if err != nil || len(s.Items) != 1 {
		t.Fatalf("want one item, got %q and %v", found(s), err)
	}
	item := s.Items[0]
	if diff := cmp.Diff(r.annotations, item.Annotations); diff != "" || item.Subject != image.Digest() || item.MediaType != typeEnvelope {
		t.Errorf("subject %s, type %q, annotations -want +got:\n%s", item.Subject, item.MediaType, diff)
	}
}

// Envelopes that are asked for after bundles are among the referrers, too.
func TestExtendWithEnvelopes(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.list(m.attach(image, bundle("b")), m.attach(image, envelopes("a", 1)), m.attach(image, hinted(envelopes("c", 1), typeEmpty)))
	s, err := evidence.Discover(t.Context(), m, image, evidence.Need{Bundle: true})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = evidence.Extend(t.Context(), m, s, evidence.Need{Envelope: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Sigstore bundle: b", "cosign attestation: a", "cosign attestation: c"}, found(s)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

// What is asked for later is found beside what was read before.
func TestExtendWithArtifacts(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.list(m.attach(image, notation("n")), m.attach(image, sbom("{}")))
	s, err := evidence.Discover(t.Context(), m, image, evidence.Need{Notation: true})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = evidence.Extend(t.Context(), m, s, evidence.Need{Artifact: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Notation signature: n", "artifact: " + typeSPDX}, found(s)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}
