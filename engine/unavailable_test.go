package engine_test

import (
	"slices"
	"testing"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// unavailable is a signer whose trust material is not known.
type unavailable struct{ signer }

func (*unavailable) Need() evidence.Need          { return evidence.Need{} }
func (*unavailable) StatementNeed() evidence.Need { return evidence.Need{} }

func (*unavailable) Unavailable() *evidence.Problem {
	return &evidence.Problem{Reason: evidence.TrustRootUnavailable}
}

// TestR48UnavailableSigner has a signer that cannot tell. Nothing that is found,
// or is not, decides in its place.
func TestR48UnavailableSigner(t *testing.T) {
	absent, present := &unavailable{signer{name: "absent"}}, &signer{name: "present"}
	signature := func(s policy.Signer) policy.Requirement { return policy.Signature{Name: "s", Signer: s} }
	attestation := func(s policy.Signer, q policy.Quantifier) policy.Requirement {
		return policy.Attestation{Claim: policy.Claim{Type: "sbom", Quantifier: q, Signers: []policy.Signature{{Name: "s", Signer: s}}}}
	}
	cases := map[string]struct {
		reason  string
		require policy.Requirement
		signed  bool // by present, or by somebody whom absent might stand for
		want    policy.Outcome
	}{
		"NothingThere":          {"no signature does not mean that it is not signed", signature(absent), false, policy.Undecided},
		"SignatureThere":        {"one cannot be judged", signature(absent), true, policy.Undecided},
		"AnotherSuffices":       {"the other signer is there", policy.AnyOf{Of: []policy.Requirement{signature(absent), signature(present)}}, true, policy.Allowed},
		"AnotherDoesNot":        {"the other did not sign", policy.AnyOf{Of: []policy.Requirement{signature(absent), signature(present)}}, false, policy.Undecided},
		"AllWithAnother":        {"the other signed", policy.All{Of: []policy.Requirement{signature(absent), signature(present)}}, true, policy.Undecided},
		"AllWithAnotherMissing": {"one that did not sign decides", policy.All{Of: []policy.Requirement{signature(absent), signature(present)}}, false, policy.Denied},
		"Attestation":           {"no statement does not mean that there is none", attestation(absent, policy.Any), false, policy.Undecided},
		"AttestationThere":      {"one cannot be judged", attestation(absent, policy.Any), true, policy.Undecided},
		"Every":                 {"as for any", attestation(absent, policy.Every), true, policy.Undecided},
		"Newest":                {"as for any", attestation(absent, policy.Newest), true, policy.Undecided},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, require(t, tc.require))
			digest := h.registry.push(t, "reg.test/app:1", name)
			if tc.signed {
				h.registry.sign(t, "reg.test/app", digest, "present")
				h.registry.attest(t, "reg.test/app", digest, "present sbom "+good)
			}
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != tc.want {
				t.Errorf("outcome = %s (%v), want %s: %s", d.Outcome, reasons(d), tc.want, tc.reason)
			}
			if tc.want == policy.Undecided && !slices.Contains(reasons(d), evidence.TrustRootUnavailable) {
				t.Errorf("reasons = %v, want TrustRootUnavailable among them", reasons(d))
			}
		})
	}
}
