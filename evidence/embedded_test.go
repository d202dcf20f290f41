package evidence_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// statements pushes an attestation manifest as BuildKit does, a layer for each
// content.
func (m *memory) statements(contents ...string) evidence.Manifest {
	m.tb.Helper()
	layers := []any{}
	for _, c := range contents {
		layers = append(layers, m.blob(typeInToto, c, map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}))
	}
	return m.attestations(evidence.MediaTypeImage, map[string]any{"layers": layers})
}

func (m *memory) attestations(mediaType string, fields map[string]any) evidence.Manifest {
	m.tb.Helper()
	if mediaType == evidence.MediaTypeImage {
		fields["config"] = m.blob(typeConfig, "{}", nil)
	}
	return m.manifest(mediaType, fields)
}

// about lists an attestation manifest for an image.
func about(image, statements evidence.Manifest) entry {
	return entry{of: statements, platform: unknown, kind: attestation, about: image.Descriptor.Digest.String()}
}

func TestEmbeddedStatements(t *testing.T) {
	cases := map[string]struct {
		reason  string
		arrange func(m *memory, app, other evidence.Manifest) []entry
		want    []string
		because []evidence.Reason
		cut     bool
	}{
		"None": {reason: "an index without statements", arrange: func(*memory, evidence.Manifest, evidence.Manifest) []entry { return nil }},
		"OneManifest": {
			reason: "every statement of it, whatever the hint of its type",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				return []entry{about(app, m.statements("1", "2"))}
			},
			want: []string{"embedded statement: 1", "embedded statement: 2"},
		},
		"OfAnotherChild": {
			reason: "what is about another child is not read",
			arrange: func(m *memory, app, other evidence.Manifest) []entry {
				return []entry{about(other, m.statements("other")), about(app, m.statements("1"))}
			},
			want: []string{"embedded statement: 1"},
		},
		"OtherLayers": {
			reason: "unknown media types are to be ignored",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				return []entry{about(app, m.attestations(evidence.MediaTypeImage, map[string]any{
					"layers": []any{m.blob("text/plain", "x", nil), m.blob(typeEnvelope, "y", nil), m.blob(typeInToto, "1", nil)},
				}))}
			},
			want: []string{"embedded statement: 1"},
		},
		"ManyTimes": {
			reason: "one manifest is read once and counts once, however often it is listed",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				return append(slices.Repeat([]entry{about(app, m.statements("1"))}, evidence.MaxAttestationManifests+1), about(app, m.statements("2")))
			},
			want: []string{"embedded statement: 1", "embedded statement: 2"},
		},
		"WithSubject": {
			reason: "BuildKit's newer manifests name the child themselves",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				return []entry{about(app, m.attestations(evidence.MediaTypeImage, map[string]any{
					"artifactType": "application/vnd.docker.attestation.manifest.v1+json", "subject": descriptor(app.Descriptor), "layers": []any{m.blob(typeInToto, "1", nil)},
				}))}
			},
			want: []string{"embedded statement: 1"},
		},
		"R22SubjectOfAnother": {
			reason: "listed for one child, and about another by its own word",
			arrange: func(m *memory, app, other evidence.Manifest) []entry {
				return []entry{about(app, m.attestations(evidence.MediaTypeImage, map[string]any{
					"subject": descriptor(other.Descriptor), "layers": []any{m.blob(typeInToto, "1", nil)},
				}))}
			},
			because: []evidence.Reason{evidence.SubjectMismatch},
		},
		"R31NotMarked": {
			reason: "an entry that may run holds no statements, and the annotation without the type neither",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				runs, untyped, plain := about(app, m.statements("1")), about(app, m.statements("2")), about(app, m.statements("3"))
				runs.platform, untyped.kind, plain.platform = "linux/arm64", "", ""
				return []entry{runs, untyped, plain}
			},
		},
		"R2DigestOfTheChild": {
			reason: "an annotation that is no digest may mean this child",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				one, two, three := about(app, m.statements("1")), about(app, m.statements("2")), about(app, m.statements("3"))
				one.about, two.about, three.about = "sha256:../x", "", strings.ToUpper(three.about)
				return []entry{one, two, three}
			},
			because: []evidence.Reason{evidence.MalformedManifest, evidence.MalformedManifest, evidence.MalformedManifest},
		},
		"R3Index": {
			reason: "an attestation manifest is an image manifest",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				return []entry{about(app, m.attestations(evidence.MediaTypeIndex, map[string]any{"manifests": []any{}}))}
			},
			because: []evidence.Reason{evidence.MalformedManifest},
		},
		"R3ArtifactManifest": {
			reason: "nor is it the retired kind, whose blobs others do not read",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				return []entry{about(app, m.attestations(evidence.MediaTypeArtifactManifest, map[string]any{"blobs": []any{m.blob(typeInToto, "1", nil)}}))}
			},
			because: []evidence.Reason{evidence.MalformedManifest},
		},
		"R3OtherType": {
			reason: "the index calls it something else",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				e := about(app, m.statements("1"))
				e.mediaType = text(evidence.MediaTypeDockerImage)
				return []entry{e}
			},
			because: []evidence.Reason{evidence.MalformedManifest},
		},
		"R2OtherSize": {
			reason: "the size was what the byte limit counted",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				e := about(app, m.statements("1"))
				e.size = number(1)
				return []entry{e}
			},
			because: []evidence.Reason{evidence.MalformedManifest},
		},
		"R1LargeManifest": {
			reason: "not asked for at all",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				e := about(app, m.statements("1"))
				e.size = number(evidence.MaxDecisionBytes) // which would leave nothing for the others
				return []entry{e, about(app, m.statements("2"))}
			},
			want:    []string{"embedded statement: 2"},
			because: []evidence.Reason{evidence.LimitExceeded},
		},
		"R1EntriesWithoutEnd": {
			reason: "each of which would be a problem",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				var all []entry
				for range 10 * evidence.MaxAttestationManifests {
					e := about(app, m.statements(fmt.Sprint(len(all))))
					e.about = "x"
					all = append(all, e)
				}
				return all
			},
			because: slices.Repeat([]evidence.Reason{evidence.MalformedManifest}, evidence.MaxAttestationManifests), cut: true,
		},
		"R2OtherManifest": {
			reason: "a source that mixes things up",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				one, two := m.statements("1"), m.statements("2")
				m.manifests[one.Descriptor.Digest.String()] = two
				return []entry{about(app, one)}
			},
			because: []evidence.Reason{evidence.DigestMismatch},
		},
		"R2OtherLayer": {
			reason: "a statement that was exchanged",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				one := m.statements("1", "2")
				m.blobs[imageref.DigestOf([]byte("1"))] = []byte("3")
				return []entry{about(app, one)}
			},
			want:    []string{"embedded statement: 2"},
			because: []evidence.Reason{evidence.DigestMismatch},
		},
		"R48Fails": {
			reason: "what could not be read is a problem",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				one := m.statements("1", "2")
				m.fail["blob "+imageref.DigestOf([]byte("1")).String()] = errBoom
				return []entry{about(app, one)}
			},
			want:    []string{"embedded statement: 2"},
			because: []evidence.Reason{evidence.Internal},
		},
		"R5ManifestsAreCapped": {
			reason: "and the set says so",
			arrange: func(m *memory, app, _ evidence.Manifest) []entry {
				var all []entry
				for range evidence.MaxAttestationManifests + 1 {
					all = append(all, about(app, m.statements(fmt.Sprint(len(all)))))
				}
				return all
			},
			want: []string{
				"embedded statement: 0", "embedded statement: 1", "embedded statement: 2", "embedded statement: 3", "embedded statement: 4",
				"embedded statement: 5", "embedded statement: 6", "embedded statement: 7", "embedded statement: 8", "embedded statement: 9",
			},
			cut: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			app, other := m.image("app").Manifest, m.image("other").Manifest
			entries := append([]entry{{of: app, platform: "linux/amd64"}, {of: other, platform: "linux/arm64"}}, tc.arrange(m, app, other)...)
			s, err := evidence.EmbeddedStatements(t.Context(), m, m.index(entries...), app.Descriptor.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, payloads(s)); diff != "" {
				t.Errorf("%s: items -want +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.because, reasons(s)); diff != "" {
				t.Errorf("%s: problems -want +got:\n%s\n%v", tc.reason, diff, s.Problems)
			}
			if s.Cut != tc.cut || s.Partial {
				t.Errorf("%s: want cut %t and never partial, got %t and %t", tc.reason, tc.cut, s.Cut, s.Partial)
			}
			if s.Image.Digest() != app.Descriptor.Digest || s.Image.Repository != m.repository || s.Image.Manifest.Descriptor.Platform.String() != "linux/amd64" {
				t.Errorf("want the set of the child, got %v", s.Image.Reference)
			}
		})
	}
}

// TestEmbeddedItems has what a reader of a statement gets to see.
func TestEmbeddedItems(t *testing.T) {
	m := newMemory(t)
	app := m.image("app").Manifest
	carrier := m.statements("1", "2")
	index := m.index(entry{of: app, platform: "linux/amd64"}, about(app, carrier), about(app, carrier))
	m.taken()
	s, err := evidence.EmbeddedStatements(t.Context(), m, index, app.Descriptor.Digest)
	if err != nil {
		t.Fatal(err)
	}
	want := []evidence.Item{}
	for i, content := range []string{"1", "2"} {
		want = append(want, evidence.Item{
			Format: evidence.Embedded, Manifest: carrier.Descriptor.Digest, Layer: i, MediaType: typeInToto, Payload: []byte(content),
			Annotations: map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"},
		})
	}
	if diff := cmp.Diff(want, s.Items, cmp.Comparer(func(x, y imageref.Digest) bool { return x == y })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if asked := m.taken(); len(asked) != 3 || slices.Contains(asked, "referrers") {
		t.Errorf("want the manifest and two layers read, got %q", asked)
	}
	if want := carrier.Descriptor.Size + 2; s.Read() != want {
		t.Errorf("want %d bytes counted, got %d", want, s.Read())
	}
}

func TestR1EmbeddedStatementsAreCapped(t *testing.T) {
	m := newMemory(t)
	app := m.image("app").Manifest
	carrier := m.statements(strings.Repeat("a", 100), strings.Repeat("b", 101), "c", "d")
	index := m.index(entry{of: app}, about(app, carrier))
	cases := map[string]struct {
		reason  string
		limits  evidence.Limits
		want    []int // layers
		because []evidence.Reason
		cut     bool
	}{
		"Layers":   {"as many as of envelopes", evidence.Limits{SignatureLayers: 2}, []int{0, 1}, nil, true},
		"Size":     {"of one statement", evidence.Limits{SignatureBytes: 100}, []int{0, 2, 3}, []evidence.Reason{evidence.LimitExceeded}, false},
		"Decision": {"all bytes of the look", evidence.Limits{DecisionBytes: carrier.Descriptor.Size + 102}, []int{0, 2, 3}, nil, true},
		"Nothing":  {"not even for the manifest", evidence.Limits{DecisionBytes: 1}, nil, nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := evidence.Finder{Limits: tc.limits}.EmbeddedStatements(t.Context(), m, index, app.Descriptor.Digest)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, item := range s.Items {
				got = append(got, item.Layer)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || s.Cut != tc.cut {
				t.Errorf("%s: cut %t, layers -want +got:\n%s", tc.reason, s.Cut, diff)
			}
			if diff := cmp.Diff(tc.because, reasons(s)); diff != "" {
				t.Errorf("%s: problems -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestR31EmbeddedStatementsOfWhichIndex: what a signature covers are the bytes of
// one index, which must be at hand and must list the child itself.
func TestR31EmbeddedStatementsOfWhichIndex(t *testing.T) {
	m := newMemory(t)
	app, other := m.image("app").Manifest, m.image("other").Manifest
	statements := m.statements("1")
	inner := m.index(entry{of: app, platform: "linux/amd64"}, about(app, statements))
	outer := m.index(entry{of: inner.Manifest}, about(app, statements))
	bare, forged := inner, outer
	bare.Manifest.Raw = nil
	forged.Manifest.Manifests = inner.Manifest.Manifests
	forged.Manifest.Raw = inner.Manifest.Raw
	image := evidence.Image{Repository: m.repository, Manifest: app}
	cases := map[string]struct {
		reason string
		index  evidence.Image
		child  imageref.Digest
		want   evidence.Reason
	}{
		"Inner":      {"the index that lists it", inner, app.Descriptor.Digest, ""},
		"Outer":      {"an index of the index, though it has statements about it", outer, app.Descriptor.Digest, evidence.Internal},
		"Stranger":   {"a digest that the index does not list", inner, other.Descriptor.Digest, evidence.Internal},
		"Statements": {"an attestation manifest is no child", inner, statements.Descriptor.Digest, evidence.Internal},
		"NoChild":    {"none", inner, imageref.Digest{}, evidence.Internal},
		"NoIndex":    {"none", evidence.Image{}, app.Descriptor.Digest, evidence.Internal},
		"Bare":       {"an index of which only the digest is known", bare, app.Descriptor.Digest, evidence.Internal},
		"R2Forged":   {"the bytes of another index", forged, app.Descriptor.Digest, evidence.Internal},
		"R3Image":    {"an image is no index", image, app.Descriptor.Digest, evidence.MalformedManifest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := evidence.EmbeddedStatements(t.Context(), m, tc.index, tc.child)
			if tc.want == "" {
				if err != nil || len(s.Items) != 1 {
					t.Errorf("%s: want the statement, got %q and %v", tc.reason, payloads(s), err)
				}
				return
			}
			if p := evidence.ProblemOf(err); p == nil || p.Reason != tc.want || len(s.Items) != 0 {
				t.Errorf("%s: want %s, got %q and %v", tc.reason, tc.want, payloads(s), err)
			}
		})
	}
}

// TestR31DiscoveryFindsNoEmbeddedStatements: nothing that is looked for about a
// digest makes evidence of what an index holds unsigned.
func TestR31DiscoveryFindsNoEmbeddedStatements(t *testing.T) {
	m := newMemory(t)
	app := m.image("app").Manifest
	index := m.index(entry{of: app}, about(app, m.statements("1")))
	need := evidence.Need{SimpleSigning: true, Bundle: true, Notation: true, Envelope: true, Artifact: true, Exhaustive: true}
	for _, image := range []evidence.Image{index, {Repository: m.repository, Manifest: app}} {
		s, err := evidence.Discover(t.Context(), m, image, need)
		if err != nil || len(s.Items) != 0 {
			t.Errorf("want nothing, got %q and %v", found(s), err)
		}
	}
	if need.Has(evidence.Embedded) {
		t.Error("want no need for embedded statements")
	}
}

func TestEmbeddedStatementsWhenTheContextEnds(t *testing.T) {
	m := newMemory(t)
	app := m.image("app").Manifest
	index := m.index(entry{of: app}, about(app, m.statements("1")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := evidence.EmbeddedStatements(ctx, m, index, app.Descriptor.Digest)
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.Cancelled {
		t.Errorf("want Cancelled, got %v", err)
	}
}

// one is a source of one document, parsed like a registry's.
type one struct {
	manifest, blob []byte
}

func (o one) Manifest(context.Context, imageref.Reference) (evidence.Manifest, error) {
	return evidence.ParseManifest(o.manifest, "")
}

func (o one) Blob(context.Context, imageref.Repository, evidence.Descriptor, int64) ([]byte, error) {
	return o.blob, nil
}

func (o one) Referrers(context.Context, imageref.Repository, imageref.Digest) (evidence.Referrers, error) {
	return evidence.Referrers{}, errBoom
}

// FuzzEmbeddedStatements has a hostile registry answer about every child of a
// hostile index.
func FuzzEmbeddedStatements(f *testing.F) {
	m := newMemory(f)
	app := m.image("app").Manifest
	two := m.attestations(evidence.MediaTypeImage, map[string]any{"subject": descriptor(app.Descriptor), "layers": []any{m.blob(typeInToto, "1", nil)}})
	for _, carrier := range []evidence.Manifest{m.statements("1"), m.statements("1", "1", "2"), two, app} {
		f.Add(m.index(entry{of: app}, about(app, carrier)).Manifest.Raw, carrier.Raw, []byte("1"))
	}
	f.Add([]byte(`{"schemaVersion":2,"config":{},"manifests":[]}`), []byte("{}"), []byte(nil))
	f.Add(m.index(entry{of: app}, about(app, two)).Manifest.Raw, []byte(`{"schemaVersion":2,"schemaVersion":2,"config":`+descA+`}`), []byte("1"))
	f.Fuzz(func(t *testing.T, index, manifest, blob []byte) {
		parsed, err := evidence.ParseManifest(index, "")
		if err != nil {
			return
		}
		image := evidence.Image{Repository: m.repository, Manifest: parsed}
		children, err := evidence.Children(parsed)
		if err != nil {
			return
		}
		for _, c := range children {
			s, err := evidence.EmbeddedStatements(t.Context(), one{manifest, blob}, image, c.Digest)
			if err != nil {
				t.Fatalf("want a set for every child, got %v", err)
			}
			for _, item := range s.Items {
				listed := slices.ContainsFunc(parsed.Manifests, func(d evidence.Descriptor) bool {
					return d.Digest == item.Manifest && d.Annotations["vnd.docker.reference.digest"] == c.Digest.String()
				})
				if item.Format != evidence.Embedded || !listed || !item.Manifest.Names(manifest) || string(item.Payload) != string(blob) ||
					(!item.Subject.IsZero() && item.Subject != c.Digest) {
					t.Fatalf("want statements that the index lists for the child, got %v", item)
				}
			}
		}
	})
}
