package evidence_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// entry is one of an index, by what tells children from statements.
type entry struct {
	of        evidence.Manifest
	platform  string // "os/architecture", or empty for none
	kind      string // of the annotation vnd.docker.reference.type
	about     string // of the annotation vnd.docker.reference.digest
	mediaType *string
	size      *int64
}

func text(s string) *string { return &s }

func number(n int64) *int64 { return &n }

func (e entry) document() map[string]any {
	d := descriptor(e.of.Descriptor)
	if e.mediaType != nil {
		d["mediaType"] = *e.mediaType
	}
	if e.size != nil {
		d["size"] = *e.size
	}
	if e.platform != "" {
		parts := append(strings.Split(e.platform, "/"), "")
		d["platform"] = map[string]any{"os": parts[0], "architecture": parts[1], "variant": parts[2]}
	}
	annotations := map[string]string{}
	if e.kind != "" {
		annotations["vnd.docker.reference.type"] = e.kind
	}
	if e.about != "" {
		annotations["vnd.docker.reference.digest"] = e.about
	}
	d["annotations"] = annotations
	return d
}

// index pushes an index and returns it resolved.
func (m *memory) index(entries ...entry) evidence.Image {
	m.tb.Helper()
	all := []any{}
	for _, e := range entries {
		all = append(all, e.document())
	}
	parsed := m.manifest(evidence.MediaTypeIndex, map[string]any{"manifests": all})
	return evidence.Image{Reference: m.repository.WithDigest(parsed.Descriptor.Digest), Repository: m.repository, Manifest: parsed}
}

const (
	unknown     = "unknown/unknown"
	attestation = "attestation-manifest"
)

func TestR31ChildrenOfAnIndex(t *testing.T) {
	m := newMemory(t)
	a, b := m.image("a").Manifest, m.image("b").Manifest
	nested := m.index(entry{of: a, platform: "linux/amd64"}).Manifest
	cases := map[string]struct {
		reason  string
		entries []entry
		want    []string
	}{
		"Platforms":        {"one image each", []entry{{of: a, platform: "linux/amd64"}, {of: b, platform: "linux/arm/v7"}}, []string{"a linux/amd64", "b linux/arm/v7"}},
		"WithoutPlatform":  {"may run anywhere", []entry{{of: a}, {of: b, kind: attestation}}, []string{"a /", "b /"}},
		"Statements":       {"what BuildKit stores is not run", []entry{{of: a, platform: "linux/amd64"}, {of: b, platform: unknown, kind: attestation, about: "x"}}, []string{"a linux/amd64"}},
		"UnknownAlone":     {"the annotation is missing", []entry{{of: a, platform: unknown}}, []string{"a unknown/unknown"}},
		"UnknownOtherKind": {"the annotation says something else", []entry{{of: a, platform: unknown, kind: "image"}}, []string{"a unknown/unknown"}},
		"AnnotationAlone":  {"a platform to run on", []entry{{of: a, platform: "linux/amd64", kind: attestation}}, []string{"a linux/amd64"}},
		"HalfUnknown":      {"only both parts are no platform", []entry{{of: a, platform: "linux/unknown", kind: attestation}, {of: b, platform: "unknown/amd64", kind: attestation}}, []string{"a linux/unknown", "b unknown/amd64"}},
		"UnknownVariant":   {"a variant of no platform", []entry{{of: a, platform: "unknown/unknown/v1", kind: attestation}}, []string{"a unknown/unknown/v1"}},
		"Nested":           {"an index in an index", []entry{{of: nested}}, []string{"nested /, an index"}},
		"OtherMediaType":   {"what it is shows when it is read", []entry{{of: a, mediaType: text("application/vnd.example")}, {of: b, mediaType: text("")}}, []string{"a /", "b /"}},
		"Twice":            {"one entry twice is one", []entry{{of: a, platform: "linux/amd64"}, {of: a, platform: "linux/amd64"}}, []string{"a linux/amd64"}},
		"TwoPlatforms":     {"one image for two platforms is two children", []entry{{of: a, platform: "linux/amd64"}, {of: a, platform: "linux/arm64"}}, []string{"a linux/amd64", "a linux/arm64"}},
		"RunnableToo":      {"one digest as statement and as image may run", []entry{{of: a, platform: unknown, kind: attestation}, {of: a, platform: "linux/amd64"}}, []string{"a linux/amd64"}},
		"StatementsAlone":  {"nothing to run", []entry{{of: a, platform: unknown, kind: attestation}}, nil},
		"Empty":            {"nothing at all", nil, nil},
	}
	names := map[imageref.Digest]string{a.Descriptor.Digest: "a", b.Descriptor.Digest: "b", nested.Descriptor.Digest: "nested"}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			children, err := evidence.Children(m.index(tc.entries...).Manifest)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range children {
				line := names[c.Digest] + " " + c.Platform.String()
				if c.IsIndex() {
					line += ", an index"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestR1ChildrenAreCapped(t *testing.T) {
	m := newMemory(t)
	var entries []entry
	for i := range evidence.MaxChildren {
		entries = append(entries, entry{of: m.image(fmt.Sprint(i)).Manifest})
	}
	statement := entry{of: m.image("statement").Manifest, platform: unknown, kind: attestation}
	children, err := evidence.Children(m.index(append(entries, entries[0], statement)...).Manifest)
	if err != nil || len(children) != evidence.MaxChildren {
		t.Errorf("want %d children, got %d and %v", evidence.MaxChildren, len(children), err)
	}
	children, err = evidence.Children(m.index(append(entries, entry{of: statement.of})...).Manifest)
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.LimitExceeded || children != nil {
		t.Errorf("want LimitExceeded and no part of the children, got %d and %v", len(children), err)
	}
}

func TestR3ChildrenOfAnImage(t *testing.T) {
	children, err := evidence.Children(newMemory(t).image("app").Manifest)
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.MalformedManifest || children != nil {
		t.Errorf("want MalformedManifest, got %v and %v", children, err)
	}
}

func TestResolveChild(t *testing.T) {
	cases := map[string]struct {
		reason string
		entry  entry
		spoil  func(m *memory, d imageref.Digest)
		want   evidence.Reason // empty: resolved
	}{
		"Child":        {reason: "as listed", entry: entry{platform: "linux/amd64"}},
		"Untyped":      {reason: "an entry without a media type contradicts nothing", entry: entry{mediaType: text("")}},
		"R3OtherType":  {reason: "listed as an index, to be walked or not", entry: entry{mediaType: text(evidence.MediaTypeIndex)}, want: evidence.MalformedManifest},
		"R3OtherImage": {reason: "listed as Docker's", entry: entry{mediaType: text(evidence.MediaTypeDockerImage)}, want: evidence.MalformedManifest},
		"R2OtherSize":  {reason: "listed as smaller than it is", entry: entry{size: number(1)}, want: evidence.MalformedManifest},
		"R1Large":      {reason: "listed as larger than manifests are", entry: entry{size: number(evidence.MaxManifestBytes + 1)}, want: evidence.LimitExceeded},
		"R2OtherBytes": {reason: "a source that mixes things up", want: evidence.DigestMismatch, spoil: func(m *memory, d imageref.Digest) {
			m.manifests[d.String()] = m.image("another").Manifest
		}},
		"Gone": {reason: "not in the registry", want: evidence.ImageNotFound, spoil: func(m *memory, d imageref.Digest) { delete(m.manifests, d.String()) }},
		"Boom": {reason: "an error without a reason is undecided", want: evidence.Internal, spoil: func(m *memory, d imageref.Digest) { m.fail["manifest "+d.String()] = errBoom }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			tc.entry.of = m.image("app").Manifest
			index := m.index(tc.entry)
			children, err := evidence.Children(index.Manifest)
			if err != nil || len(children) != 1 {
				t.Fatalf("want one child, got %v and %v", children, err)
			}
			if tc.spoil != nil {
				tc.spoil(m, children[0].Digest)
			}
			image, err := evidence.ResolveChild(t.Context(), m, index, children[0])
			if tc.want == "" {
				if err != nil || image.Digest() != children[0].Digest || image.Repository != m.repository || image.Reference.Digest() != image.Digest() {
					t.Errorf("%s: got %v and %v", tc.reason, image.Reference, err)
				}
				return
			}
			if p := evidence.ProblemOf(err); p == nil || p.Reason != tc.want || !p.Undecided() {
				t.Errorf("%s: want %s, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

// FuzzChildren holds every entry of an index to be a child or BuildKit's.
func FuzzChildren(f *testing.F) {
	const image = `{"schemaVersion":2,"manifests":[{"mediaType":"` + evidence.MediaTypeImage + `","digest":"sha256:` + hexA + `","size":2`
	f.Add([]byte(image + `}]}`))
	f.Add([]byte(image + `,"platform":{"os":"unknown","architecture":"unknown"}}]}`))
	f.Add([]byte(image + `,"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}`))
	f.Add([]byte(image + `,"platform":null,"annotations":{"vnd.docker.reference.type":"attestation-manifest"}},{"digest":"sha256:` + hexA + `","size":0}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := evidence.ParseManifest(raw, "")
		if err != nil {
			return
		}
		children, err := evidence.Children(m)
		if err != nil {
			if p := evidence.ProblemOf(err); !p.Undecided() || p.Reason == evidence.Internal || children != nil {
				t.Fatalf("want an undecided problem of its own, got %v", err)
			}
			return
		}
		if !m.IsIndex() || len(children) > evidence.MaxChildren {
			t.Fatalf("want at most %d children of an index, got %d", evidence.MaxChildren, len(children))
		}
		is := map[imageref.Digest]bool{}
		for _, c := range children {
			is[c.Digest] = true
		}
		for _, d := range m.Manifests {
			buildKit := d.Platform != nil && d.Platform.String() == unknown && d.Annotations["vnd.docker.reference.type"] == attestation
			if !is[d.Digest] && !buildKit {
				t.Fatalf("want %v among the children", d)
			}
		}
	})
}
