package evidence_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

var (
	sigstoreNeed = evidence.Need{SimpleSigning: true, Bundle: true}
	everything   = evidence.Need{SimpleSigning: true, Bundle: true, Notation: true}
)

func exhaustive(n evidence.Need) evidence.Need {
	n.Exhaustive = true
	return n
}

// TestRequestBudget counts requests and sequential steps, the resolve included.
// The clock is the bubble's, so steps are exact.
func TestRequestBudget(t *testing.T) {
	const latency = 20 * time.Millisecond
	cases := map[string]struct {
		reason   string
		noAPI    bool
		setup    func(*memory, evidence.Image)
		need     evidence.Need
		extend   bool
		requests int
		steps    int
		items    int
	}{
		"CosignTag": {
			reason: "resolve; signature tag and referrers; payload",
			setup:  func(m *memory, i evidence.Image) { m.signed(i, m.simple(1)) },
			need:   sigstoreNeed, requests: 4, steps: 3, items: 1,
		},
		"CosignTagWithoutAPI": {
			reason: "the referrers tag waits for an exhaustive look where there are signatures to try",
			noAPI:  true,
			setup:  func(m *memory, i evidence.Image) { m.signed(i, m.simple(1)) },
			need:   sigstoreNeed, requests: 4, steps: 3, items: 1,
		},
		"Bundle": {
			reason: "resolve; signature tag and referrers; manifest; bundle",
			setup:  func(m *memory, i evidence.Image) { m.list(m.attach(i, bundle("b"))) },
			need:   sigstoreNeed, requests: 5, steps: 4, items: 1,
		},
		"BundleAloneWithoutAPI": {
			reason: "resolve; referrers; referrers tag; manifest; bundle",
			noAPI:  true,
			setup:  func(m *memory, i evidence.Image) { m.tag(i, m.attach(i, bundle("b"))) },
			need:   evidence.Need{Bundle: true}, requests: 5, steps: 5, items: 1,
		},
		"Notation": {
			reason: "resolve; referrers; manifest; envelope",
			setup:  func(m *memory, i evidence.Image) { m.list(m.attach(i, notation("n"))) },
			need:   evidence.Need{Notation: true}, requests: 4, steps: 4, items: 1,
		},
		"Unsigned": {
			reason: "the exhaustive look adds the referrers tag",
			setup:  func(*memory, evidence.Image) {},
			need:   everything, extend: true, requests: 4, steps: 3,
		},
		"UnsignedWithoutAPI": {
			reason: "the referrers tag is the only list, and is not asked again",
			noAPI:  true,
			setup:  func(*memory, evidence.Image) {},
			need:   everything, extend: true, requests: 4, steps: 3,
		},
		"Everything": {
			reason: "formats are read side by side, and one payload signed three times is read once",
			setup: func(m *memory, i evidence.Image) {
				m.signed(i, m.simple(1), m.simple(1), m.simple(1))
				m.list(m.attach(i, bundle("b")), m.attach(i, notation("n")))
			},
			need: everything, requests: 8, steps: 4, items: 5,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory(t)
				m.latency, m.noAPI = latency, tc.noAPI
				image := m.image("app")
				tc.setup(m, image)
				began := time.Now()
				resolved, err := evidence.Resolve(t.Context(), m, image.Reference)
				if err != nil {
					t.Fatal(err)
				}
				set, err := evidence.Discover(t.Context(), m, resolved, tc.need)
				if err == nil && tc.extend {
					set, err = evidence.Extend(t.Context(), m, set, exhaustive(tc.need))
				}
				if err != nil {
					t.Fatal(err)
				}
				steps := int(time.Since(began) / latency)
				taken := m.taken()
				if len(taken) > tc.requests || steps > tc.steps {
					t.Errorf("%s: want at most %d requests in %d steps, got %d in %d: %q", tc.reason, tc.requests, tc.steps, len(taken), steps, taken)
				}
				if len(set.Items) != tc.items || len(set.Problems) != 0 {
					t.Errorf("want %d items without problems, got %q and %v", tc.items, payloads(set), set.Problems)
				}
			})
		})
	}
}

func TestDiscover(t *testing.T) {
	cases := map[string]struct {
		reason   string
		setup    func(*memory, evidence.Image)
		need     evidence.Need
		want     []string
		problems []evidence.Reason
		partial  bool
		cut      bool
	}{
		"NothingNeeded": {
			reason: "without a signer nothing is looked for",
			setup:  func(m *memory, i evidence.Image) { m.signed(i, m.simple(1)) },
		},
		"SimpleSigningOnly": {
			reason: "the signature tag is all there is to look at, and other layers are none",
			setup: func(m *memory, i evidence.Image) {
				m.signed(i, m.blob("text/plain", "x", nil), m.simple(1), m.simple(2))
			},
			need: evidence.Need{SimpleSigning: true},
			want: []string{"cosign signature: payload 1", "cosign signature: payload 2"},
		},
		"Union": {
			reason: "a bundle does not hide the signature tag, nor one list the other",
			setup: func(m *memory, i evidence.Image) {
				m.signed(i, m.simple(1))
				m.list(m.attach(i, bundle("b")))
				m.tag(i, m.attach(i, bundle("b")), m.attach(i, bundle("c")))
			},
			need: exhaustive(sigstoreNeed),
			want: []string{"cosign signature: payload 1", "Sigstore bundle: b", "Sigstore bundle: c"},
		},
		"NotationShapes": {
			reason: "artifactType, the config's type before OCI 1.1, and the retired artifact manifest; JWS and COSE",
			setup: func(m *memory, i evidence.Image) {
				m.list(
					m.attach(i, referrer{artifactType: typeNotation, layerType: typeCOSE, content: "1"}),
					m.attach(i, referrer{configType: typeNotation, layerType: typeJWS, content: "2"}),
					m.attach(i, referrer{manifestType: evidence.MediaTypeArtifactManifest, artifactType: typeNotation, layerType: typeJWS, content: "3"}),
				)
			},
			need: evidence.Need{Notation: true}, partial: true,
			want: []string{"Notation signature: 1", "Notation signature: 2", "Notation signature: 3"},
		},
		"CosignReferrer": {
			reason: "cosign's experimental mode attaches simple signing layers",
			setup: func(m *memory, i evidence.Image) {
				m.list(m.attach(i, referrer{configType: "application/vnd.dev.cosign.artifact.sig.v1+json", layerType: typeSimple, content: "1"}))
			},
			need: sigstoreNeed, partial: true,
			want: []string{"cosign signature: 1"},
		},
		"CosignReferrerOfVersion11": {
			reason: "cosign's experimental mode also writes the artifact type; other layers are none",
			setup: func(m *memory, i evidence.Image) {
				const t = "application/vnd.dev.cosign.artifact.sig.v1+json"
				m.list(
					m.attach(i, referrer{artifactType: t, configType: t, layerType: typeSimple, content: "1", layers: 2}),
					m.attach(i, referrer{artifactType: t, layerType: "text/plain", content: "2"}),
				)
			},
			need: sigstoreNeed, partial: true,
			want: []string{"cosign signature: 1", "cosign signature: 1+"},
		},
		"HintIsTheConfigType": {
			reason: "GHCR lists bundles under the type of their empty config",
			setup:  func(m *memory, i evidence.Image) { m.list(m.attach(i, hinted(bundle("b"), typeEmpty))) },
			need:   sigstoreNeed, partial: true,
			want: []string{"Sigstore bundle: b"},
		},
		"BundleWithoutArtifactType": {
			reason: "the layer's type tells a bundle whose manifest has no artifact type",
			setup: func(m *memory, i evidence.Image) {
				m.list(m.attach(i, referrer{layerType: typeBundle, content: "b"}))
			},
			need: sigstoreNeed, partial: true,
			want: []string{"Sigstore bundle: b"},
		},
		"TwoLayers": {
			reason: "a bundle and a Notation signature have exactly one layer",
			setup: func(m *memory, i evidence.Image) {
				two, three := bundle("b"), notation("n")
				two.layers, three.layers = 2, 3
				m.list(m.attach(i, two), m.attach(i, three))
			},
			need: everything, partial: true,
			problems: []evidence.Reason{evidence.MalformedEvidence, evidence.MalformedEvidence},
		},
		"BundlesOfAllVersions": {
			reason: "the version is for the verifier to judge, in either spelling",
			setup: func(m *memory, i evidence.Image) {
				for n, t := range bundleTypes {
					m.list(m.attach(i, referrer{artifactType: t, layerType: t, content: fmt.Sprint(n)}))
				}
			},
			need: sigstoreNeed, partial: true,
			want: []string{"Sigstore bundle: 0", "Sigstore bundle: 1", "Sigstore bundle: 2", "Sigstore bundle: 3", "Sigstore bundle: 4"},
		},
		"BundleInAnotherLayer": {
			reason: "a manifest that says bundle has a layer that is one",
			setup: func(m *memory, i evidence.Image) {
				m.list(m.attach(i, referrer{artifactType: typeBundle, layerType: "application/json", content: "b"}))
			},
			need: sigstoreNeed, partial: true,
			problems: []evidence.Reason{evidence.UnsupportedEvidence},
		},
		"BundleAnnotated": {
			reason: "as cosign, GitHub and Tekton Chains write them: an empty config, and annotations that are hints",
			setup: func(m *memory, i evidence.Image) {
				r := bundle("b")
				r.annotations = map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}
				m.list(m.attach(i, r))
			},
			need: sigstoreNeed, partial: true,
			want: []string{"Sigstore bundle: b"},
		},
		"NotationEnvelopeOfAnotherType": {
			reason: "only JWS and COSE are envelopes",
			setup: func(m *memory, i evidence.Image) {
				r := notation("n")
				r.layerType = "application/json"
				m.list(m.attach(i, r))
			},
			need: everything, partial: true,
			problems: []evidence.Reason{evidence.UnsupportedEvidence},
		},
		"OneLookUpFails": {
			reason: "what the others find counts",
			setup: func(m *memory, i evidence.Image) {
				m.signed(i, m.simple(1))
				m.fail["referrers"] = &evidence.Problem{Reason: evidence.RegistryUnavailable}
			},
			need: sigstoreNeed, partial: true,
			want:     []string{"cosign signature: payload 1"},
			problems: []evidence.Reason{evidence.RegistryUnavailable},
		},
		"UnclassifiedFailure": {
			reason: "an error without a reason is undecided",
			setup:  func(m *memory, i evidence.Image) { m.fail["manifest "+signatureTag(i)] = errBoom },
			need:   evidence.Need{SimpleSigning: true}, problems: []evidence.Reason{evidence.Internal},
		},
		"ReferrerGone": {
			reason: "what a list names and the registry does not have may have been a signature",
			setup: func(m *memory, i evidence.Image) {
				d := m.attach(i, bundle("b"))
				delete(m.manifests, d.Digest.String())
				m.list(d)
			},
			need: sigstoreNeed, partial: true, problems: []evidence.Reason{evidence.ImageNotFound},
		},
		"SignatureTagIsAnIndex": {
			reason: "a signature tag names an image manifest",
			setup: func(m *memory, i evidence.Image) {
				m.manifests[signatureTag(i)] = m.manifest(evidence.MediaTypeIndex, map[string]any{"manifests": []any{}})
			},
			need: evidence.Need{SimpleSigning: true}, problems: []evidence.Reason{evidence.MalformedManifest},
		},
		"ReferrersTagIsAnImage": {
			reason: "a referrers tag names an index",
			setup: func(m *memory, i evidence.Image) {
				m.noAPI = true
				m.manifests[referrersTag(i)] = i.Manifest
			},
			need: sigstoreNeed, problems: []evidence.Reason{evidence.MalformedManifest},
		},
		"ListCut": {
			reason: "the source says that its list is not whole",
			setup:  func(m *memory, _ evidence.Image) { m.cutAPI = true },
			need:   sigstoreNeed, partial: true, cut: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			image := m.image("app")
			tc.setup(m, image)
			got, err := evidence.Discover(t.Context(), m, image, tc.need)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, payloads(got)); diff != "" {
				t.Errorf("%s: items -want +got:\n%s\n%v", tc.reason, diff, got.Problems)
			}
			if diff := cmp.Diff(tc.problems, reasons(got)); diff != "" {
				t.Errorf("%s: problems -want +got:\n%s\n%v", tc.reason, diff, got.Problems)
			}
			if got.Partial != tc.partial || got.Cut != tc.cut {
				t.Errorf("%s: want partial %t and cut %t, got %t and %t", tc.reason, tc.partial, tc.cut, got.Partial, got.Cut)
			}
		})
	}
}

func TestR22ReferrerOfAnotherImage(t *testing.T) {
	m := newMemory(t)
	image, other := m.image("app"), m.image("another app")
	stray, loose := bundle("stray"), notation("loose")
	stray.subject, loose.noSubject = &other.Manifest.Descriptor, true
	m.list(m.attach(image, stray), m.attach(image, loose), m.attach(image, bundle("ours")))
	got, err := evidence.Discover(t.Context(), m, image, everything)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Sigstore bundle: ours"}, payloads(got)); diff != "" {
		t.Errorf("items -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.SubjectMismatch, evidence.SubjectMismatch}, reasons(got)); diff != "" {
		t.Fatalf("problems -want +got:\n%s", diff)
	}
	p := got.Problems[0]
	if !strings.HasPrefix(p.Path, "referrer sha256:") || !strings.Contains(p.Expected, image.Digest().String()) || p.Got != other.Digest().String() {
		t.Errorf("want where, expected and got, got %q", p.Error())
	}
	if slices.ContainsFunc(m.taken(), func(r string) bool { return r == "blob "+imageref.DigestOf([]byte("stray")).String() }) {
		t.Error("want only the layers of the image's own referrers read")
	}
}

// TestR22HintsAreHints has every referrer listed under an unrelated type.
func TestR22HintsAreHints(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.list(m.attach(image, hinted(bundle("b"), "application/spdx+json")), m.attach(image, hinted(notation("n"), typeBundle)))
	first, err := evidence.Discover(t.Context(), m, image, evidence.Need{Notation: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Items) != 0 || !first.Partial {
		t.Fatalf("want nothing and more to look at, got %q, partial %t", payloads(first), first.Partial)
	}
	more, err := evidence.Extend(t.Context(), m, first, exhaustive(evidence.Need{Notation: true}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Notation signature: n"}, payloads(more)); diff != "" || more.Partial {
		t.Errorf("partial %t, -want +got:\n%s", more.Partial, diff)
	}
}

func TestExtendReadsNothingTwice(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.signed(image, m.simple(1))
	known := m.attach(image, bundle("b"))
	m.list(known, m.attach(image, hinted(bundle("late"), "application/spdx+json")))
	m.tag(image, known, m.attach(image, bundle("tagged")))

	first, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	before := payloads(first)
	asked := m.taken()
	more, err := evidence.Extend(t.Context(), m, first, exhaustive(sigstoreNeed))
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(before), "Sigstore bundle: late", "Sigstore bundle: tagged")
	if diff := cmp.Diff(want, payloads(more)); diff != "" {
		t.Errorf("items -want +got:\n%s", diff)
	}
	for _, r := range m.taken() {
		if slices.Contains(asked, r) {
			t.Errorf("want %q asked once", r)
		}
	}
	if diff := cmp.Diff(before, payloads(first)); diff != "" || !first.Partial {
		t.Errorf("want the first set unchanged, -want +got:\n%s", diff)
	}
	again, err := evidence.Extend(t.Context(), m, more, exhaustive(sigstoreNeed))
	if err != nil {
		t.Fatal(err)
	}
	if taken := m.taken(); len(taken) != 0 || len(again.Items) != len(more.Items) || again.Partial {
		t.Errorf("want nothing left to ask, got %q", taken)
	}
}

func TestExtendWithAnotherFormat(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.list(m.attach(image, bundle("b")), m.attach(image, notation("n")))
	first, err := evidence.Discover(t.Context(), m, image, evidence.Need{Bundle: true})
	if err != nil {
		t.Fatal(err)
	}
	more, err := evidence.Extend(t.Context(), m, first, evidence.Need{Notation: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Sigstore bundle: b", "Notation signature: n"}, payloads(more)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestOrderIsTheListsOrder answers at different speeds.
func TestOrderIsTheListsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		image := m.image("app")
		var want []string
		for i := range 20 {
			content := fmt.Sprintf("%02d", i)
			want = append(want, "Sigstore bundle: "+content)
			m.list(m.attach(image, bundle(content)))
		}
		got, err := evidence.Discover(t.Context(), uneven{m}, image, sigstoreNeed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, payloads(got)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// uneven answers later requests sooner.
type uneven struct{ *memory }

func (u uneven) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	u.mu.Lock()
	n := len(u.requests)
	u.mu.Unlock()
	<-time.After(time.Duration(100-n) * time.Millisecond) // of the bubble's clock
	return u.memory.Manifest(ctx, ref)
}

func TestDiscoverWhenTheContextEnds(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	m.signed(image, m.simple(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := evidence.Discover(ctx, m, image, sigstoreNeed)
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.Cancelled {
		t.Errorf("want Cancelled, got %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = evidence.Discover(late, m, image, sigstoreNeed)
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.DeadlineExceeded {
		t.Errorf("want DeadlineExceeded, got %v", err)
	}
	first, err := evidence.Discover(t.Context(), m, image, sigstoreNeed)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := evidence.Extend(ctx, m, first, exhaustive(sigstoreNeed))
	if err != nil || len(kept.Items) != 1 {
		t.Errorf("want what was found before, got %q and %v", payloads(kept), err)
	}
}

func TestResolve(t *testing.T) {
	m := newMemory(t)
	image := m.image("app")
	byTag, err := evidence.Resolve(t.Context(), m, image.Reference)
	if err != nil || byTag.Digest() != image.Digest() || byTag.Repository != m.repository {
		t.Errorf("by tag: got %v, %v", byTag.Digest(), err)
	}
	byDigest, err := evidence.Resolve(t.Context(), m, m.repository.WithDigest(image.Digest()))
	if err != nil || byDigest.Digest() != image.Digest() {
		t.Errorf("by digest: got %v, %v", byDigest.Digest(), err)
	}
	ref, err := m.repository.WithTag("absent")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Resolve(t.Context(), m, ref); evidence.ProblemOf(err).Reason != evidence.ImageNotFound {
		t.Errorf("want ImageNotFound, got %v", err)
	}
	if _, err := evidence.Discover(t.Context(), m, evidence.Image{}, everything); err == nil {
		t.Error("want an image without digest refused")
	}
}
