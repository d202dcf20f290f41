package corpus_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/workload"
)

const folder = "../../testdata/corpus"

// layouts are a case's repositories: the image's, and the one that has its
// signatures if that is another.
type layouts struct{ image, signatures *registry.Layout }

func (l layouts) Source(_ context.Context, _ evidence.Puller, repository imageref.Repository) (evidence.Source, string, error) {
	if l.signatures != nil && repository == l.signatures.Repository() {
		return l.signatures, "", nil
	}
	return l.image, "", nil
}

// elsewhere is what the repository with the signatures is called.
const elsewhere = "signatures.layout/"

// open opens the layouts of a case that a check asks about.
func open(t *testing.T, c fixture.Case, check fixture.Check) layouts {
	t.Helper()
	var l layouts
	var err error
	if l.image, err = registry.OpenLayout(c.Dir, imageref.Repository{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.image.Close() })
	if check.Signer.Repository == "" {
		return l
	}
	repository := place(t, check.Signer).Repository
	if l.signatures, err = registry.OpenLayout(filepath.Join(c.Dir, check.Signer.Repository), repository); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.signatures.Close() })
	return l
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestCorpus(t *testing.T) {
	cases, err := fixture.ReadCorpus(folder)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			for i, check := range c.Checks {
				checked++
				d := decide(t, open(t, c, check), c, check, asked(t, check))
				if got := d.Outcome.String(); got != check.Outcome {
					t.Errorf("check %d by %+v: want %s, got %s: %+v", i, check.Signer, check.Outcome, got, problems(d))
					continue
				}
				if check.Reason != "" && problems(d)[0].Reason != evidence.Reason(check.Reason) {
					t.Errorf("check %d by %+v: want reason %s, got %v", i, check.Signer, check.Reason, problems(d))
				}
			}
		})
	}
	if checked < 2*len(cases) {
		t.Errorf("want every case checked, got %d checks of %d cases", checked, len(cases))
	}
}

// asked is what a check asks for.
func asked(t *testing.T, check fixture.Check) policy.Requirement {
	t.Helper()
	by := policy.Signature{Signer: signer(t, check.Signer)}
	if check.Attestation == "" {
		return by
	}
	return policy.Attestation{Claim: policy.Claim{Type: check.Attestation, Signers: []policy.Signature{by}}}
}

// Two provenances that disagree: one that holds is enough for Any, and is not
// for Every.
func TestStatementsThatDisagree(t *testing.T) {
	condition, err := attest.CEL("provenance.builder(predicate) == 'tekton-chains'", "")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := fixture.ReadCorpus(folder)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range cases {
		if !strings.HasSuffix(c.Name, "att-disagree") {
			continue
		}
		checked++
		for quantifier, want := range map[policy.Quantifier]policy.Outcome{policy.Any: policy.Allowed, policy.Every: policy.Denied} {
			by := policy.Signature{Signer: signer(t, fixture.CaseSigner{Key: "keys/builder.pub"})}
			claim := policy.Claim{Type: "https://slsa.dev/provenance/v0.2", Signers: []policy.Signature{by}, Quantifier: quantifier, Conditions: []policy.Condition{condition}}
			if d := decide(t, open(t, c, fixture.Check{}), c, fixture.Check{}, policy.Attestation{Claim: claim}); d.Outcome != want {
				t.Errorf("%s, %s: want %s, got %s: %+v", c.Name, quantifier, want, d.Outcome, problems(d))
			}
		}
	}
	if checked != 2 {
		t.Errorf("want both forms checked, got %d", checked)
	}
}

func decide(t *testing.T, source layouts, c fixture.Case, check fixture.Check, require policy.Requirement) engine.ImageDecision {
	t.Helper()
	e, err := engine.New(source, engine.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	everything, err := imageref.ParsePattern("**")
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(engine.NewSnapshot([]policy.Policy{{
		Origin: policy.Origin{Name: "corpus"}, Include: []policy.ImagePattern{everything}, Require: require,
	}}))
	digest := c.Digest
	if check.Digest != "" {
		digest = check.Digest
	}
	ref := source.image.Repository().String() + "@" + digest
	return e.Decide(t.Context(), engine.Request{Images: []workload.Image{{Ref: ref}}}).Images[0]
}

func problems(d engine.ImageDecision) []*evidence.Problem {
	if len(d.Policies) == 0 {
		return []*evidence.Problem{d.Problem}
	}
	return d.Policies[0].Finding.Problems
}
