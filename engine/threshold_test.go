package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// identity is a keyless signer: whoever's signature is of one of some (issuer,
// subject), each of which is an identity of its own. It names what it verified in
// words of its own.
type identity struct {
	signer
	id      string
	accepts map[string]string // from payload to (issuer, subject)
}

func (i *identity) ID() policy.SignerID { return policy.SignerID(i.id) }

func (i *identity) Verify(ctx context.Context, image evidence.Image, item evidence.Item) (policy.Proof, error) {
	who, accepted := i.accepts[string(item.Payload)]
	if !accepted {
		return i.signer.Verify(ctx, image, item)
	}
	return policy.Proof{Identity: who, Source: i.id + "'s " + string(item.Payload)}, nil
}

func (i *identity) VerifyStatement(_ context.Context, _ evidence.Image, item evidence.Item, predicateType string) (policy.Proof, error) {
	who, accepted := i.accepts[string(item.Payload)]
	if !accepted {
		return policy.Proof{}, &evidence.Problem{Reason: evidence.SignerMismatch}
	}
	return policy.Proof{Identity: who, Source: i.id + "'s " + string(item.Payload), Statement: policy.NewArtifact(predicateType, []byte("{}"))}, nil
}

// Two signers that one signature satisfies are one (CVE-2026-49834); so are two
// signatures of one (issuer, subject).
func TestR28OneSignatureFillsOneSlot(t *testing.T) {
	const alice, bob = "https://idp\nalice", "https://idp\nbob"
	both := map[string]string{"a1": alice, "a2": alice, "b": bob}
	cases := map[string]struct {
		reason        string
		first, second map[string]string
		signed        []string
		want          policy.Outcome
	}{
		"TwoSignatures":        {"each of another identity", both, both, []string{"a1", "b"}, policy.Allowed},
		"OneSignature":         {"that both accept", both, both, []string{"a1"}, policy.Denied},
		"OneSignatureTwoNames": {"that both accept, under two identities", both, map[string]string{"a1": bob}, []string{"a1"}, policy.Denied},
		"OneIdentity":          {"with two signatures", both, both, []string{"a1", "a2"}, policy.Denied},
		"OtherIssuer":          {"the same subject of another issuer is another", both, map[string]string{"b": "https://other\nalice"}, []string{"a1", "b"}, policy.Allowed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			one, two := &identity{id: "one", accepts: tc.first}, &identity{id: "two", accepts: tc.second}
			stated := func(s policy.Signer) policy.Requirement {
				return policy.Attestation{Claim: policy.Claim{Type: "sbom", Signers: []policy.Signature{{Signer: s}}}}
			}
			for kind, of := range map[string][]policy.Requirement{
				"signatures": {policy.Signature{Signer: one}, policy.Signature{Signer: two}},
				"statements": {stated(one), stated(two)},
			} {
				h := newHarness(t, engine.Options{}, require(t, policy.AtLeast{Count: 2, Of: of}))
				h.registry.sign(t, "reg.test/app", h.image(t), tc.signed...)
				h.registry.attest(t, "reg.test/app", h.image(t), tc.signed...)
				for _, state := range []string{"cold", "warm"} {
					if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != tc.want {
						t.Errorf("%s, %s, %s: want %s, got %s %v", tc.reason, kind, state, tc.want, d.Outcome, reasons(d))
					}
				}
			}
		})
	}
}

// What a signature rests on comes with the decision, remembered or not.
func TestProofsComeWithTheirTestimony(t *testing.T) {
	testimony := &policy.Testimony{
		Certificate: &policy.CertificateFacts{Identity: "ci@example.com", Issuer: "https://idp"},
		Entries:     []policy.LogFacts{{Log: "ab", Index: 7, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
	}
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release", testimony: testimony}))
	h.registry.sign(t, "reg.test/app", h.image(t), "release")
	for _, state := range []string{"cold", "warm"} {
		d := h.ask(t.Context(), "reg.test/app:1")
		if d.Outcome != policy.Allowed {
			t.Fatalf("%s: want allowed, got %s %v", state, d.Outcome, reasons(d))
		}
		if diff := cmp.Diff(testimony, d.Policies[0].Finding.Proofs[0].Testimony); diff != "" {
			t.Errorf("%s: -want +got:\n%s", state, diff)
		}
	}
}

// A testimony is the signer's certificate authority's text: what is remembered of
// it counts.
func TestR1TestimonyCountsInMemory(t *testing.T) {
	large := &policy.Testimony{Certificate: &policy.CertificateFacts{Extensions: map[string]string{"sourceRepositoryURI": string(make([]byte, 8<<20))}}}
	verified := 0
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release", testimony: large, verified: func() { verified++ }}))
	h.registry.sign(t, "reg.test/app", h.image(t), "release")
	for range 2 {
		h.ask(t.Context(), "reg.test/app:1")
	}
	if verified != 2 {
		t.Errorf("verifications of a proof too large to keep: want 2, got %d", verified)
	}
}
