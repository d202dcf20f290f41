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
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/sigstore"
	"github.com/bonafide-dev/bonafide/workload"
)

const folder = "../../testdata/corpus"

// layouts is a source for one layout.
type layouts struct{ *registry.Layout }

func (l layouts) Source(context.Context, evidence.Puller, imageref.Repository) (evidence.Source, string, error) {
	return l.Layout, "", nil
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// signer makes who must have signed.
func signer(t *testing.T, s fixture.CaseSigner) policy.Signer {
	t.Helper()
	if s.Key != "" {
		key, err := sigstore.NewKey(read(t, s.Key), sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: s.Annotations}})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	certificates, err := notation.ParseCertificates(read(t, s.Store))
	if err != nil {
		t.Fatal(err)
	}
	identities := []string{"*"}
	if s.Identity != "" {
		identities = []string{s.Identity}
	}
	n, err := notation.New(notation.Options{TrustStores: []notation.TrustStore{{Type: "ca", Name: "corpus", Certificates: certificates}}, TrustedIdentities: identities})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCorpus(t *testing.T) {
	cases, err := fixture.ReadCorpus(folder)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			layout, err := registry.OpenLayout(c.Dir, imageref.Repository{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = layout.Close() })
			for i, check := range c.Checks {
				checked++
				d := decide(t, layout, c, check, asked(t, check))
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
		layout, err := registry.OpenLayout(c.Dir, imageref.Repository{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = layout.Close() })
		for quantifier, want := range map[policy.Quantifier]policy.Outcome{policy.Any: policy.Allowed, policy.Every: policy.Denied} {
			by := policy.Signature{Signer: signer(t, fixture.CaseSigner{Key: "keys/builder.pub"})}
			claim := policy.Claim{Type: "https://slsa.dev/provenance/v0.2", Signers: []policy.Signature{by}, Quantifier: quantifier, Conditions: []policy.Condition{condition}}
			if d := decide(t, layout, c, fixture.Check{}, policy.Attestation{Claim: claim}); d.Outcome != want {
				t.Errorf("%s, %s: want %s, got %s: %+v", c.Name, quantifier, want, d.Outcome, problems(d))
			}
		}
	}
	if checked != 2 {
		t.Errorf("want both forms checked, got %d", checked)
	}
}

func decide(t *testing.T, layout *registry.Layout, c fixture.Case, check fixture.Check, require policy.Requirement) engine.ImageDecision {
	t.Helper()
	e, err := engine.New(layouts{layout}, engine.Options{Now: time.Now})
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
	ref := layout.Repository().String() + "@" + digest
	return e.Decide(t.Context(), engine.Request{Images: []workload.Image{{Ref: ref}}}).Images[0]
}

func problems(d engine.ImageDecision) []*evidence.Problem {
	if len(d.Policies) == 0 {
		return []*evidence.Problem{d.Problem}
	}
	return d.Policies[0].Finding.Problems
}
