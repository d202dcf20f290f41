package policy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// party is a signer whose verdict the test looks up by name.
type party string

func (p party) ID() policy.SignerID { return policy.SignerID(p) }
func (p party) Describe() string    { return "key " + string(p) }
func (party) Need() evidence.Need   { return evidence.Need{} }
func (party) PerRepository() bool   { return false }
func (party) Verify(context.Context, evidence.Image, evidence.Item) (policy.Proof, error) {
	return policy.Proof{}, fmt.Errorf("not asked in this test")
}

func by(name string) policy.Requirement { return policy.Signature{Name: name, Signer: party(name)} }

func parties(names ...string) []policy.Requirement {
	var of []policy.Requirement
	for _, n := range names {
		of = append(of, by(n))
	}
	return of
}

// verdicts answers by the first letter of a signer's name: "a…" allowed,
// "d…" denied, "u…" undecided. Each allowed signer has its own identity.
func verdicts(s policy.Signature) policy.Leaf {
	switch s.Name[0] {
	case 'a':
		return policy.Leaf{Outcome: policy.Allowed, Proofs: []policy.Proof{{Identity: s.Name, Source: "signature by " + s.Name}}}
	case 'd':
		return policy.Leaf{Outcome: policy.Denied, Problems: []*evidence.Problem{{Reason: evidence.SignerMismatch, Got: s.Name}}}
	}
	return policy.Leaf{Problems: []*evidence.Problem{{Reason: evidence.RegistryTimeout, Got: s.Name}}}
}

func TestEvaluateThreeValues(t *testing.T) {
	cases := map[string]struct {
		reason string
		tree   policy.Requirement
		want   policy.Outcome
	}{
		"AllAllowed":            {"all hold", policy.All{Of: parties("a1", "a2")}, policy.Allowed},
		"AllOneDenied":          {"one denied decides, whatever is open", policy.All{Of: parties("a1", "u1", "d1")}, policy.Denied},
		"AllOneOpen":            {"nothing denied, one open", policy.All{Of: parties("a1", "u1")}, policy.Undecided},
		"AnyOneAllowed":         {"one allowed decides, whatever is open", policy.AnyOf{Of: parties("d1", "u1", "a1")}, policy.Allowed},
		"AnyOneOpen":            {"an open one may still allow", policy.AnyOf{Of: parties("d1", "u1")}, policy.Undecided},
		"AnyAllDenied":          {"nothing allows", policy.AnyOf{Of: parties("d1", "d2")}, policy.Denied},
		"AtLeastReached":        {"two of three", policy.AtLeast{Count: 2, Of: parties("a1", "d1", "a2")}, policy.Allowed},
		"AtLeastOpen":           {"one more could come", policy.AtLeast{Count: 2, Of: parties("a1", "u1", "d1")}, policy.Undecided},
		"AtLeastOutOfReach":     {"two can no longer be reached", policy.AtLeast{Count: 2, Of: parties("a1", "d1", "d2")}, policy.Denied},
		"AtLeastReachedAndOpen": {"what is open does not matter any more", policy.AtLeast{Count: 1, Of: parties("a1", "u1")}, policy.Allowed},
		"StaticAllow":           {"static", policy.Static{Allow: true}, policy.Allowed},
		"StaticDeny":            {"static", policy.Static{}, policy.Denied},
		"Nested":                {"a group counts as one", policy.AtLeast{Count: 2, Of: []policy.Requirement{by("a1"), policy.AnyOf{Of: parties("d1", "a2")}}}, policy.Allowed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, policy.Evaluate(t.Context(), c.tree, policy.Input{Facts: policy.SignatureFacts(verdicts)}).Outcome); diff != "" {
				t.Errorf("%s: -want +got:\n%s", c.reason, diff)
			}
		})
	}
}

func TestR48EmptyAndNilTreesNeverAllow(t *testing.T) {
	trees := map[string]policy.Requirement{
		"Nil":            nil,
		"All":            policy.All{},
		"AnyOf":          policy.AnyOf{},
		"AtLeast":        policy.AtLeast{},
		"AtLeastOfNone":  policy.AtLeast{Count: 1},
		"AtLeastZeroOf":  policy.AtLeast{Of: parties("a1")},
		"AtLeastMinus":   policy.AtLeast{Count: -1, Of: parties("a1")},
		"AllOfEmptyAny":  policy.All{Of: []policy.Requirement{policy.AnyOf{}}},
		"AnyOfNilChild":  policy.AnyOf{Of: []policy.Requirement{nil}},
		"AllWithNilLast": policy.All{Of: []policy.Requirement{by("a1"), nil}},
	}
	for name, tree := range trees {
		t.Run(name, func(t *testing.T) {
			f := policy.Evaluate(t.Context(), tree, policy.Input{Facts: policy.SignatureFacts(verdicts)})
			if f.Outcome != policy.Denied {
				t.Errorf("outcome: want denied, got %s", f.Outcome)
			}
			if len(f.Problems) == 0 {
				t.Error("expected a problem that says why")
			}
		})
	}
}

func TestR48AllowedLeafWithoutProofIsUndecided(t *testing.T) {
	f := policy.Evaluate(t.Context(), by("x"), policy.Input{Facts: policy.SignatureFacts(func(policy.Signature) policy.Leaf { return policy.Leaf{Outcome: policy.Allowed} })})
	if f.Outcome != policy.Undecided {
		t.Errorf("outcome: want undecided, got %s", f.Outcome)
	}
}

func TestR28OneIdentityFillsOneSlot(t *testing.T) {
	proof := func(identity, source string) policy.Proof { return policy.Proof{Identity: identity, Source: source} }
	cases := map[string]struct {
		reason string
		proofs map[string][]policy.Proof
		tree   policy.Requirement
		want   policy.Outcome
	}{
		"SameKeyUnderTwoNames": {
			"one key listed twice is one signer",
			map[string][]policy.Proof{"x": {proof("k1", "s1")}, "y": {proof("k1", "s1")}},
			policy.AtLeast{Count: 2, Of: parties("x", "y")}, policy.Denied,
		},
		"SameKeyTwoSignatures": {
			"a second signature by the same key is no second signer",
			map[string][]policy.Proof{"x": {proof("k1", "s1"), proof("k1", "s2")}, "y": {proof("k1", "s1"), proof("k1", "s2")}},
			policy.AtLeast{Count: 2, Of: parties("x", "y")}, policy.Denied,
		},
		"OneSignatureTwoIdentities": {
			"one signature fills one slot even if two signers read it differently",
			map[string][]policy.Proof{"x": {proof("k1", "s1")}, "y": {proof("k2", "s1")}},
			policy.AtLeast{Count: 2, Of: parties("x", "y")}, policy.Denied,
		},
		"ChoiceMatters": {
			"the first signer can leave the shared identity to the second",
			map[string][]policy.Proof{"x": {proof("k1", "s1"), proof("k2", "s2")}, "y": {proof("k1", "s1")}},
			policy.AtLeast{Count: 2, Of: parties("x", "y")}, policy.Allowed,
		},
		"GroupSharesKey": {
			"a group that holds by a key that is counted already adds nothing",
			map[string][]policy.Proof{"x": {proof("k1", "s1")}, "y": {proof("k1", "s1")}, "z": {proof("k3", "s3")}},
			policy.AtLeast{Count: 2, Of: []policy.Requirement{by("x"), policy.All{Of: parties("y", "z")}}}, policy.Denied,
		},
		"NestedThreshold": {
			"an inner threshold that can be filled apart from the outer signer counts as one",
			map[string][]policy.Proof{"x": {proof("k1", "s1")}, "y": {proof("k2", "s2")}, "z": {proof("k3", "s3")}},
			policy.AtLeast{Count: 2, Of: []policy.Requirement{by("x"), policy.AtLeast{Count: 2, Of: parties("x", "y", "z")}}}, policy.Allowed,
		},
		"StaticIsNobody": {
			"a static rule fills no slot",
			map[string][]policy.Proof{"x": {proof("k1", "s1")}},
			policy.AtLeast{Count: 2, Of: []policy.Requirement{by("x"), policy.Static{Allow: true}}}, policy.Denied,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := policy.Evaluate(t.Context(), c.tree, policy.Input{Facts: policy.SignatureFacts(func(s policy.Signature) policy.Leaf {
				return policy.Leaf{Outcome: policy.Allowed, Proofs: c.proofs[s.Name]}
			})})
			if f.Outcome != c.want {
				t.Errorf("%s: want %s, got %s (%v)", c.reason, c.want, f.Outcome, f.Problems)
			}
		})
	}
}

// A group built to make the search explode ends undecided, in bounded time.
func TestR1ThresholdSearchIsBounded(t *testing.T) {
	var of []policy.Requirement
	for i := range 40 {
		of = append(of, by(fmt.Sprintf("x%d", i)))
	}
	f := policy.Evaluate(t.Context(), policy.AtLeast{Count: 39, Of: of}, policy.Input{Facts: policy.SignatureFacts(func(policy.Signature) policy.Leaf {
		var proofs []policy.Proof
		for i := range 38 { // 38 identities for 39 slots: out of reach, and every permutation looks promising
			proofs = append(proofs, policy.Proof{Identity: fmt.Sprint(i), Source: fmt.Sprint(i)})
		}
		return policy.Leaf{Outcome: policy.Allowed, Proofs: proofs}
	})})
	if f.Outcome != policy.Undecided {
		t.Errorf("outcome: want undecided, got %s", f.Outcome)
	}
	if got := f.Problems[0].Reason; got != evidence.LimitExceeded {
		t.Errorf("reason: want %s, got %s", evidence.LimitExceeded, got)
	}
}

func TestZeroOutcomeIsUndecided(t *testing.T) {
	var o policy.Outcome
	if o != policy.Undecided || o.String() != "undecided" {
		t.Errorf("zero outcome: want undecided, got %s", o)
	}
	for _, c := range []struct{ a, b, want policy.Outcome }{
		{policy.Denied, policy.Undecided, policy.Denied},
		{policy.Undecided, policy.Allowed, policy.Undecided},
		{policy.Allowed, policy.Unmatched, policy.Allowed},
	} {
		if got := c.a.Worse(c.b); got != c.want {
			t.Errorf("%s.Worse(%s): want %s, got %s", c.a, c.b, c.want, got)
		}
		if got := c.b.Worse(c.a); got != c.want {
			t.Errorf("%s.Worse(%s): want %s, got %s", c.b, c.a, c.want, got)
		}
	}
}

// What a tree alone decides has a reason of its own.
func TestReasonsOfTrees(t *testing.T) {
	cases := map[string]struct {
		reason string
		tree   policy.Requirement
		want   evidence.Reason
		got    string
	}{
		"Threshold": {"one of two has signed", policy.AtLeast{Count: 2, Of: parties("a1", "d1", "d2")}, evidence.ThresholdNotReached, "1"},
		"Static":    {"nobody can make it run", policy.Static{Reason: "retired"}, evidence.StaticallyDenied, "a policy that denies it: retired"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := policy.Evaluate(t.Context(), tc.tree, policy.Input{Facts: policy.SignatureFacts(verdicts)})
			if f.Outcome != policy.Denied || len(f.Problems) == 0 || f.Problems[0].Reason != tc.want || f.Problems[0].Got != tc.got {
				t.Errorf("%s: want %s with %q, got %s, %v", tc.reason, tc.want, tc.got, f.Outcome, f.Problems)
			}
		})
	}
}
