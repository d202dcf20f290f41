package evidence_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// elsewhere is a registry of another repository alone, as a source is: it holds
// the caller to the repository.
type elsewhere struct{ *memory }

func newElsewhere(t *testing.T) elsewhere {
	m := newMemory(t)
	m.repository = imageref.MustParse("signatures.test/acme/signatures").Repository()
	return elsewhere{m}
}

func (e elsewhere) check(r imageref.Repository) {
	e.tb.Helper()
	if r != e.repository {
		e.tb.Errorf("want %s read, got %s", e.repository, r)
	}
}

func (e elsewhere) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	e.check(ref.Repository())
	return e.memory.Manifest(ctx, ref)
}

func (e elsewhere) Blob(ctx context.Context, r imageref.Repository, d evidence.Descriptor, limit int64) ([]byte, error) {
	e.check(r)
	return e.memory.Blob(ctx, r, d, limit)
}

func (e elsewhere) Referrers(ctx context.Context, r imageref.Repository, d imageref.Digest) (evidence.Referrers, error) {
	e.check(r)
	return e.memory.Referrers(ctx, r, d)
}

// in returns a need for the place.
func in(p evidence.Place, n evidence.Need) evidence.Need {
	n.Place = p
	return n
}

// TestPlaceIsWhereEvidenceIsRead has an image in one repository and everything
// about it in another.
func TestPlaceIsWhereEvidenceIsRead(t *testing.T) {
	need := evidence.Need{SimpleSigning: true, Envelope: true, Bundle: true, Notation: true, Artifact: true, Exhaustive: true}
	cases := map[string]struct {
		reason  string
		prefix  string
		arrange func(e elsewhere, image evidence.Image)
		want    []string
	}{
		"Tags": {
			reason: "under the names of the image's digest",
			arrange: func(e elsewhere, image evidence.Image) {
				e.signed(image, e.simple(1))
				e.attested(image, e.blob(typeEnvelope, "a", nil))
			},
			want: []string{"cosign signature: payload 1", "cosign attestation: a"},
		},
		"Prefix": {
			reason: "in front of cosign's tags, and of no other", prefix: "release-",
			arrange: func(e elsewhere, image evidence.Image) {
				e.signed(image, e.simple(1))
				e.manifests["release-"+signatureTag(image)] = e.signed(image, e.simple(2))
				e.attested(image, e.blob(typeEnvelope, "b", nil))
				e.manifests["release-"+referrersTag(image)+".att"] = e.manifests[referrersTag(image)+".att"]
				delete(e.manifests, signatureTag(image))
				delete(e.manifests, referrersTag(image)+".att")
				e.noAPI = true
				e.tag(image, e.attach(image, bundle("c")))
			},
			want: []string{"cosign signature: payload 2", "cosign attestation: b", "Sigstore bundle: c"},
		},
		"Referrers": {
			reason: "of a digest that the repository itself does not have",
			arrange: func(e elsewhere, image evidence.Image) {
				e.list(e.attach(image, bundle("b")), e.attach(image, notation("n")), e.attach(image, sbom("{}")))
			},
			want: []string{"Sigstore bundle: b", "Notation signature: n", "artifact: " + typeSPDX},
		},
		"Nothing": {
			reason:  "a repository that is not there holds nothing",
			arrange: func(e elsewhere, _ evidence.Image) { e.noAPI = true },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			image := newMemory(t).image("app")
			e := newElsewhere(t)
			tc.arrange(e, image)
			s, err := evidence.Discover(t.Context(), e, image, in(evidence.Place{Repository: e.repository, TagPrefix: tc.prefix}, need))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, found(s)); diff != "" || len(s.Problems) != 0 {
				t.Errorf("%s: problems %v, items -want +got:\n%s", tc.reason, s.Problems, diff)
			}
			if s.Image.Repository != image.Repository || s.Image.Digest() != image.Digest() {
				t.Errorf("want the set of the image, got %s@%s", s.Image.Repository, s.Image.Digest())
			}
			if slices.Contains(e.taken(), "manifest "+image.Digest().String()) {
				t.Error("want the image itself left where it is")
			}
		})
	}
}

// TestR22PlaceWithReferrersOfOthers has a repository in which the signatures of
// many images are together.
func TestR22PlaceWithReferrersOfOthers(t *testing.T) {
	image, other := newMemory(t).image("app"), newMemory(t).image("another app")
	e := newElsewhere(t)
	loose := bundle("loose")
	loose.noSubject = true
	e.list(e.attach(other, bundle("other")), e.attach(image, loose), e.attach(image, bundle("ours")))
	s, err := evidence.Discover(t.Context(), e, image, in(evidence.Place{Repository: e.repository}, sigstoreNeed))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Sigstore bundle: ours"}, payloads(s)); diff != "" {
		t.Errorf("items -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.SubjectMismatch, evidence.SubjectMismatch}, reasons(s)); diff != "" {
		t.Fatalf("problems -want +got:\n%s", diff)
	}
	if got := s.Problems[0].Path; !strings.HasPrefix(got, "signatures.test/acme/signatures: referrer sha256:") {
		t.Errorf("want the path to say in which repository, got %q", got)
	}
}

// TestR48PlacesAreNotMixed extends the evidence of one place with another's.
func TestR48PlacesAreNotMixed(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.signed(image, m.simple(1))
	s, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []evidence.Place{{TagPrefix: "x"}, {Repository: newElsewhere(t).repository}} {
		_, err = evidence.Extend(t.Context(), m, s, in(p, sigstoreNeed))
		if problem := evidence.ProblemOf(err); problem == nil || problem.Reason != evidence.Internal {
			t.Errorf("%v: want Internal, got %v", p, err)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	own, other := newMemory(t).repository, newElsewhere(t).repository
	if got := (evidence.Place{TagPrefix: "x"}).Of(own); got != own {
		t.Errorf("want the image's own, got %s", got)
	}
	if got := (evidence.Place{Repository: other}).Of(own); got != other {
		t.Errorf("want the other, got %s", got)
	}
}

// TestR2TagPrefixes: a prefix enters a URL, so it has what a tag can have.
func TestR2TagPrefixes(t *testing.T) {
	const rest = len("sha256-") + 64 + len(".sig")
	cases := map[string]struct {
		prefix string
		valid  bool
	}{
		"None":     {"", true},
		"Word":     {"release-", true},
		"Longest":  {strings.Repeat("a", 128-rest), true},
		"TooLong":  {strings.Repeat("a", 129-rest), false},
		"Path":     {"../", false},
		"Colon":    {"a:", false},
		"Space":    {"a ", false},
		"Query":    {"a?b=", false},
		"Dot":      {".", false},
		"Encoded":  {"%2e%2e%2f", false},
		"Newline":  {"a\n", false},
		"NonASCII": {"ä", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := evidence.Place{TagPrefix: tc.prefix}
			err := p.Validate()
			if problem := evidence.ProblemOf(err); (err == nil) != tc.valid || (err != nil && problem.Reason != evidence.MalformedReference) {
				t.Errorf("%q: want valid %t, got %v", tc.prefix, tc.valid, err)
			}
			m := newMemory(t)
			image := m.image("app")
			s, err := evidence.Discover(t.Context(), m, image, in(p, evidence.Need{SimpleSigning: true}))
			if err != nil || len(s.Items) != 0 {
				t.Errorf("want nothing found, got %q and %v", found(s), err)
			}
			if asked := m.taken(); !tc.valid && len(asked) != 0 {
				t.Errorf("want nothing asked, got %q", asked)
			}
		})
	}
}
