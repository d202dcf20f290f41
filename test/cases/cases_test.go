package cases_test

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/sigstore"
	"github.com/bonafide-dev/bonafide/workload"
)

// world is a registry with one image of each kind, and who signed them.
type world struct {
	*fixture.Registry
	release, vendor, third, stranger fixture.Key
	authority                        fixture.Authority
	team, other                      fixture.Leaf
	sigstore, elsewhere              *testca.Sigstore // the operator's, and another
	private                          *testca.Sigstore // stands for an authority of one's own
	certificate, colleague           testca.Certificate
	images                           []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	r, err := fixture.NewRegistry(fixture.Options{Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	w := &world{Registry: r, sigstore: testca.New(t, testca.Options{Whole: true}), elsewhere: testca.New(t, testca.Options{Whole: true}), private: testca.New(t, testca.Options{})}
	for _, key := range []*fixture.Key{&w.release, &w.vendor, &w.third, &w.stranger} {
		if *key, err = fixture.NewKey(fixture.P256); err != nil {
			t.Fatal(err)
		}
	}
	w.authority, w.team = issue(t)
	_, w.other = issue(t)
	kinds := w.kinds()
	maps.Copy(kinds, w.certified(t))
	w.images = slices.Sorted(maps.Keys(kinds))
	for _, name := range w.images {
		image, err := r.PushImage(t.Context(), "acme/"+name+":v1", name)
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range kinds[name] {
			if err := mark(t.Context(), image); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	return w
}

func issue(t *testing.T) (fixture.Authority, fixture.Leaf) {
	t.Helper()
	name := func(common string) fixture.CertificateOptions {
		return fixture.CertificateOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: common}}
	}
	authority, err := fixture.NewAuthority(name("CA"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Issue(name("team"))
	if err != nil {
		t.Fatal(err)
	}
	return authority, leaf
}

// mark is what is done to an image.
type mark = func(context.Context, fixture.Image) error

func (w *world) cosign(key fixture.Key) mark {
	return func(ctx context.Context, i fixture.Image) error {
		_, err := w.SignCosign(ctx, i, key, fixture.CosignOptions{})
		return err
	}
}

func (w *world) bundle(key fixture.Key, o fixture.BundleOptions) mark {
	return func(ctx context.Context, i fixture.Image) error { _, err := w.SignBundle(ctx, i, key, o); return err }
}

func (w *world) notation(leaf fixture.Leaf) mark {
	return func(ctx context.Context, i fixture.Image) error {
		_, err := w.SignNotation(ctx, i, leaf, fixture.NotationOptions{})
		return err
	}
}

func (w *world) provenance(key fixture.Key, builder string) mark {
	return func(ctx context.Context, i fixture.Image) error {
		_, err := w.SignAttestation(ctx, i, key, fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSLSA02, Predicate: provenanceBy(builder)})
		return err
	}
}

func provenanceBy(builder string) map[string]any {
	return map[string]any{"builder": map[string]any{"id": builder}, "buildType": "tekton.dev/v1/TaskRun"}
}

func (w *world) sbom(licence string, leaf *fixture.Leaf) mark {
	return func(ctx context.Context, i fixture.Image) error {
		document := fmt.Appendf(nil, `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"zlib","licenses":[{"expression":%q}]}]}`, licence)
		artifact, err := w.PushArtifact(ctx, i, "application/vnd.cyclonedx", "application/vnd.cyclonedx+json", document)
		if err != nil || leaf == nil {
			return err
		}
		return w.notation(*leaf)(ctx, artifact)
	}
}

// apart stores a signature in another repository.
func (w *world) apart(key fixture.Key) mark {
	return func(ctx context.Context, i fixture.Image) error {
		other, err := imageref.Parse(w.Host() + "/acme/signatures")
		if err != nil {
			return err
		}
		_, err = w.SignCosign(ctx, i, key, fixture.CosignOptions{Storage: fixture.Storage{Repository: other.Repository()}})
		return err
	}
}

// services answer for a key management service.
type services struct {
	policyset.Material

	release fixture.Key
}

const releaseKMS = "awskms:///alias/release"

func (s services) PublicKey(uri string) ([]byte, error) {
	if uri != releaseKMS {
		return nil, errors.New("expected the key that there is, got another")
	}
	return s.release.PublicPEM, nil
}

// copied takes the signatures of another image that release signed.
func (w *world) copied(ctx context.Context, i fixture.Image) error {
	genuine, err := w.PushImage(ctx, "acme/genuine:v1", "genuine")
	if err != nil {
		return err
	}
	if err := w.cosign(w.release)(ctx, genuine); err != nil {
		return err
	}
	return w.CopySignatures(ctx, genuine, i)
}

const builder = "https://tekton.dev/chains/v2"

// kinds are the images by name.
func (w *world) kinds() map[string][]mark {
	signed := w.cosign(w.release)
	attested := fixture.BundleOptions{PredicateType: fixture.PredicateTypeSLSA02, Predicate: provenanceBy(builder)}
	return map[string][]mark{
		"unsigned":            nil,
		"signed":              {signed},
		"bundle":              {w.bundle(w.release, fixture.BundleOptions{})},
		"by-stranger":         {w.cosign(w.stranger)},
		"by-vendor":           {w.cosign(w.vendor)},
		"by-both":             {signed, w.cosign(w.vendor)},
		"by-all-three":        {signed, w.cosign(w.vendor), w.cosign(w.third)},
		"twice-by-one":        {signed, w.bundle(w.release, fixture.BundleOptions{})},
		"copied":              {w.copied},
		"apart":               {w.apart(w.release)},
		"apart-stranger":      {w.apart(w.stranger)},
		"notation":            {w.notation(w.team)},
		"notation-stranger":   {w.notation(w.other)},
		"attested":            {w.provenance(w.release, builder)},
		"attested-bundle":     {w.bundle(w.release, attested)},
		"attested-laptop":     {w.provenance(w.release, "laptop")},
		"attested-stranger":   {w.provenance(w.stranger, builder)},
		"attested-disagree":   {w.provenance(w.release, builder), w.provenance(w.release, "laptop")},
		"attested-and-forged": {w.provenance(w.release, builder), w.provenance(w.stranger, "laptop")},
		"sbom":                {w.notation(w.team), w.sbom("Zlib", &w.team)},
		"sbom-gpl":            {w.notation(w.team), w.sbom("GPL-3.0", &w.team)},
		"sbom-unsigned":       {w.notation(w.team), w.sbom("Zlib", nil)},
		"sbom-one-unsigned":   {w.notation(w.team), w.sbom("Zlib", &w.team), w.sbom("MIT", nil)},
		"sbom-stranger":       {w.notation(w.team), w.sbom("Zlib", &w.other)},
	}
}

// expression is a requirement as one dialect writes it.
type expression struct {
	text string // YAML documents
	// root is the trusted root that the operator names, default the world's.
	root  *testca.Sigstore
	name  string // of the policy that a request must name
	extra []engine.Extra
}

// TestEveryDialectDecidesAlike is the corpus: each requirement allows the images
// that are listed, in whichever language it is written, and no other.
func TestEveryDialectDecidesAlike(t *testing.T) {
	w := newWorld(t)
	requirements := w.requirements(t)
	maps.Copy(requirements, w.certifiedRequirements())
	for name, r := range requirements {
		for language, e := range r.in {
			t.Run(name+"/"+language, func(t *testing.T) {
				decide := w.decider(t, e)
				for _, image := range w.images {
					want := policy.Denied
					if slices.Contains(r.allows, image) {
						want = policy.Allowed
					}
					if d := decide(image); d.Outcome != want {
						t.Errorf("%s: want %s, got %s %s", image, want, d.Outcome, why(d))
					}
				}
			})
		}
		for _, image := range r.allows {
			if !slices.Contains(w.images, image) {
				t.Errorf("%s: no image %q", name, image)
			}
		}
	}
}

// decider compiles an expression and decides by it alone.
func (w *world) decider(t *testing.T, e expression) func(image string) engine.ImageDecision {
	t.Helper()
	documents, err := dialect.Parse("policy.yaml", []byte(e.text))
	if err != nil {
		t.Fatal(err)
	}
	operators := w.sigstore
	if e.root != nil {
		operators = e.root
	}
	root, err := sigstore.NewTrustedRoot(operators.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	signers := policyset.NewSigners(root)
	signers.Now, signers.Material = time.Now, services{release: w.release}
	policies, _, err := dialect.Loader{Dialects: []dialect.Dialect{
		native.New(signers, native.Options{}), kyverno.New(signers, kyverno.Options{}), nirmata.New(signers, nirmata.Options{}),
	}}.Load(documents)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(registry.Options{Clock: time.Now, InsecureHosts: []string{w.Host()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	decider, err := engine.New(client, engine.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	decider.Swap(engine.NewSnapshot(policies))
	request := engine.Request{
		Request: policy.Request{Kind: "Pod", Operation: "CREATE", Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: "shop"}},
		CanPin:  true, Extra: e.extra,
	}
	if e.name != "" {
		request.Policies = []string{e.name}
	}
	return func(image string) engine.ImageDecision {
		r := request
		r.Images = []workload.Image{{Ref: w.Host() + "/acme/" + image + ":v1"}}
		return decider.Decide(t.Context(), r).Images[0]
	}
}

func why(d engine.ImageDecision) string {
	text := ""
	for _, p := range d.Policies {
		for _, problem := range p.Finding.Problems {
			text += "\n    " + problem.Error()
		}
	}
	return text
}

// licences asks, as a caller of /checkimages does, that no package is under the
// GPL.
func licences(t *testing.T) []engine.Extra {
	t.Helper()
	blocks, err := jmes.ParseBlocks(map[string]any{"all": []any{map[string]any{
		"key": "{{ element.components[].licenses[].expression }}", "operator": "AllNotIn", "value": []any{"GPL-2.0", "GPL-3.0"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	condition, err := jmes.Compile(blocks, jmes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return []engine.Extra{{Artifact: policy.Claim{Type: "application/vnd.cyclonedx", Quantifier: policy.EveryFound, Conditions: []policy.Condition{condition}}}}
}
