package corpus_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

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
		key, err := sigstore.NewKey(read(t, s.Key), sigstore.KeyOptions{TransparencyLog: sigstore.LogIgnored, Annotations: s.Annotations})
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
				if check.Attestation != "" { // asks for an attestation, which is another requirement
					continue
				}
				checked++
				d := decide(t, layout, c, check)
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
	if checked < 2*len(cases)-5 {
		t.Errorf("want every case checked, got %d checks of %d cases", checked, len(cases))
	}
}

func decide(t *testing.T, layout *registry.Layout, c fixture.Case, check fixture.Check) engine.ImageDecision {
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
		Origin: policy.Origin{Name: "corpus"}, Include: []policy.ImagePattern{everything},
		Require: policy.Signature{Signer: signer(t, check.Signer)},
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
