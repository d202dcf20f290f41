package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// A chainsFormat is one of Tekton Chains' formats: the example's policy for it,
// the repository that the policy is about, and what it asks for.
type chainsFormat struct{ policy, repository, predicateType string }

// chainsFormats returns the formats by the version of SLSA provenance, with which
// the recorded tags end.
func chainsFormats() map[string]chainsFormat {
	return map[string]chainsFormat{
		"v02": {"tekton-chains", "tekton/app", fixture.PredicateTypeSLSA02},
		"v1":  {"tekton-chains-v1", "tekton-v1/app", fixture.PredicateTypeSLSA1},
	}
}

// chainsWorld is the recording that hack/chains made with Chains' own code,
// pushed into the repositories of both policies, which guard a namespace.
type chainsWorld struct {
	*example
	namespace string
	images    map[string]map[string]fixture.Image // by repository and tag
}

func newChainsWorld(t *testing.T) *chainsWorld {
	t.Helper()
	recording := filepath.Join("testdata", "chains")
	key, err := os.ReadFile(filepath.Join(recording, "chains.pub"))
	if err != nil {
		t.Fatal(err)
	}
	store := rig.NewStore(t, fixture.Options{Referrers: true})
	w := &chainsWorld{
		example: &example{world: &world{registry: store}, cluster: shared.Cluster(t), folder: t.TempDir()},
		images:  map[string]map[string]fixture.Image{},
	}
	w.fill(t, key)
	for _, format := range chainsFormats() {
		if w.images[format.repository], err = store.LoadLayout(t.Context(), filepath.Join(recording, "layout"), format.repository); err != nil {
			t.Fatal(err)
		}
	}
	w.bonafide = shared.StartBonafide(t, rig.BonafideOptions{Policies: w.folder, Registry: store.Host()})
	w.namespace = w.cluster.Namespace(t, nil)
	RegisterWebhooks(t, w.cluster, w.webhooks(t, w.namespace))
	return w
}

// fill writes the two policies of the example. The folder has others, whose keys
// and certificates are replaced, too.
func (w *chainsWorld) fill(t *testing.T, key []byte) {
	t.Helper()
	const more = 32 // than the folder has blocks
	values := examples.Values{
		Registry: w.registry.Host(), Keys: slices.Repeat([][]byte{key}, more), Certificates: slices.Repeat([][]byte{nil}, more),
	}
	for _, f := range rig.FillExample(t, examples.NativeSigstore, "policy", values) {
		for _, format := range chainsFormats() {
			if f.Name == "policy/"+format.policy+".yaml" {
				rig.Example{f}.Write(t, w.folder)
			}
		}
	}
}

func (w *chainsWorld) image(t *testing.T, repository, tag string) fixture.Image {
	t.Helper()
	image, recorded := w.images[repository][tag]
	if !recorded {
		t.Fatalf("expected %q in the recording, got none", tag)
	}
	return image
}

// transplant gives one recorded image the attestations of another.
func (w *chainsWorld) transplant(t *testing.T, repository, from, to string) {
	t.Helper()
	attestations := w.image(t, repository, fixture.AttestationTag(w.image(t, repository, from).Digest))
	target := w.image(t, repository, to)
	if _, has := w.images[repository][fixture.AttestationTag(target.Digest)]; has {
		t.Fatalf("expected %q without attestations, got some", to)
	}
	at, err := target.Reference.Repository().WithTag(fixture.AttestationTag(target.Digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.registry.PushManifest(t.Context(), at, attestations.MediaType, attestations.Raw); err != nil {
		t.Fatal(err)
	}
}

// each runs a test for both formats and both kinds of runs. Words in braces stand
// for what differs.
func (w *chainsWorld) each(t *testing.T, test func(t *testing.T, format chainsFormat, fill *strings.Replacer)) {
	t.Helper()
	formats := chainsFormats()
	for version, other := range map[string]string{"v02": "v1", "v1": "v02"} {
		for _, run := range []string{"taskrun", "pipelinerun"} {
			right := w.image(t, formats[version].repository, run+"-"+version)
			fill := strings.NewReplacer(
				"{run}", run, "{version}", version, "{other}", other, "{digest}", right.Digest.String(),
				"{type}", `"`+formats[version].predicateType+`"`, "{othertype}", `"`+formats[other].predicateType+`"`,
			)
			t.Run(run+"-"+version, func(t *testing.T) { test(t, formats[version], fill) })
		}
	}
}

// Images that Tekton Chains' own code signed and attested, decided at the API
// server by the policies that a user would copy. Both have the same conditions.
func TestChainsProvenance(t *testing.T) {
	w := newChainsWorld(t)
	w.each(t, func(t *testing.T, format chainsFormat, fill *strings.Replacer) {
		w.wantPinned(t, w.namespace, w.image(t, format.repository, fill.Replace("{run}-{version}")))
		// Both kinds of runs in both formats: four statements in one manifest.
		w.wantPinned(t, w.namespace, w.image(t, format.repository, "everything"))
	})
}

func TestChainsProvenanceRefused(t *testing.T) {
	w := newChainsWorld(t)
	cases := map[string]struct {
		reason string
		tag    string
		want   evidence.Reason
		parts  []string // of the message
	}{
		"WrongBuilder": {
			reason: "the key has attested what another Tekton built",
			tag:    "{run}-builder-{version}", want: evidence.ConditionNotMet,
			parts: []string{"expected built by this cluster's Tekton", `got provenance.builder(predicate) = "https://laptop.example.com/chains"`},
		},
		"WrongSource": {
			reason: "definition and code are another repository's",
			tag:    "{run}-source-{version}", want: evidence.ConditionNotMet,
			parts: []string{"expected built from acme/app", `got provenance.source(predicate) = "https://github.com/mallory/app"`},
		},
		"R32WrongInput": {
			reason: "the right definition, told to build other code: no one source can be named",
			tag:    "{run}-input-{version}", want: evidence.ConditionFailed,
			parts: []string{`got "https://github.com/acme/app" by definition and "https://github.com/mallory/app" as input`},
		},
		"R23OtherType": {
			reason: "right in all, but in the other of Chains' formats",
			tag:    "{run}-{other}", want: evidence.NotAttested,
			parts: []string{"expected a statement of type {type}, got one of type {othertype}"},
		},
		"R23Unattested": {
			reason: "the image's signature is no attestation",
			tag:    "unattested", want: evidence.NotAttested,
			parts: []string{"expected a signed attestation of type {type} by \"chains\"", "got none"},
		},
		"AnotherKey": {
			reason: "anybody can write what the policy wants to read",
			tag:    "{run}-key-{version}", want: evidence.SignerMismatch,
			parts: []string{"expected a signature by key sha256:", `got a signature with key id "SHA256:`},
		},
		"R21AnotherImage": {
			reason: "a statement says of which image it is",
			tag:    "{run}-another-{version}", want: evidence.SubjectMismatch,
			parts: []string{"expected a statement about sha256:", `got one of "{digest}"`},
		},
	}
	w.each(t, func(t *testing.T, format chainsFormat, fill *strings.Replacer) {
		w.transplant(t, format.repository, fill.Replace("{run}-{version}"), fill.Replace("{run}-another-{version}"))
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				image := w.image(t, format.repository, fill.Replace(tc.tag))
				parts := []string{image.Reference.String() + ": " + format.policy + ": require[1]: "}
				for _, part := range tc.parts {
					parts = append(parts, fill.Replace(part))
				}
				w.wantRefused(t, w.namespace, image, parts...)
				if diff := cmp.Diff([]evidence.Reason{tc.want}, w.reasons(t, image)); diff != "" {
					t.Errorf("%s: reasons (-want +got):\n%s", tc.reason, diff)
				}
			})
		}
	})
}

// reasons are those of what was found wrong with an image, which the API server's
// message does not carry.
func (w *chainsWorld) reasons(t *testing.T, image fixture.Image) []evidence.Reason {
	t.Helper()
	// The exit code says the same as the report, which is looked at here.
	out, _ := exec.Command(shared.Command(t), "verify", "-o", "json", "--policy", w.folder, image.Reference.String()).Output()
	var report struct {
		Results []struct {
			Policies []struct {
				Findings []struct {
					Problems []struct{ Reason evidence.Reason }
				}
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("expected a report, got %q: %v", out, err)
	}
	var reasons []evidence.Reason
	for _, result := range report.Results {
		for _, p := range result.Policies {
			for _, f := range p.Findings {
				for _, problem := range f.Problems {
					reasons = append(reasons, problem.Reason)
				}
			}
		}
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}
