package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// says is a condition that holds for statements that say one of its words: "yes"
// does, "no" does not, "err" errs, and "late" runs out of time.
type says struct{}

var errBoom = errors.New("boom: secret")

func (says) String() string { return `"says yes"` }

func (says) Check(_ context.Context, in policy.ConditionInput) error {
	switch string(in.Statement.Payload) {
	case "yes":
		return nil
	case "no":
		return &evidence.Problem{Reason: evidence.ConditionNotMet, Expected: "yes", Got: "no: secret", Err: errBoom}
	case "late":
		return &evidence.Problem{Reason: evidence.DeadlineExceeded}
	case "limit":
		return &evidence.Problem{Reason: evidence.LimitExceeded, Got: "secret"}
	case "malformed":
		return fmt.Errorf("read: %w", &evidence.Problem{Reason: evidence.MalformedEvidence, Err: errBoom})
	}
	return errBoom
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stated returns a proof of a statement that says a word, made hours before noon
// by whoever; a negative number of hours stands for no proven time.
func stated(word string, hours int) policy.Proof {
	p := policy.Proof{
		Identity: "key of " + word, Source: fmt.Sprintf("statement of %d", hours),
		Statement: policy.NewStatement("t", []byte(word)),
	}
	if hours >= 0 {
		p.Time = noon.Add(-time.Duration(hours) * time.Hour)
	}
	return p
}

func proofs(words ...string) []policy.Proof {
	var all []policy.Proof
	for i, word := range words {
		p := stated(word, i)
		p.Source += fmt.Sprintf(" #%d", i)
		all = append(all, p)
	}
	return all
}

// claimFacts answers each claim by the first signer's name.
type claimFacts map[string]policy.Stated

func (claimFacts) Signature(policy.Signature) policy.Leaf {
	return policy.Leaf{Outcome: policy.Allowed, Proofs: []policy.Proof{{Identity: "k", Source: "signature"}}}
}

func (f claimFacts) Attestation(a policy.Attestation) policy.Stated { return f[a.Signers[0].Name] }
func (f claimFacts) Artifact(a policy.Artifact) policy.Stated       { return f[a.Signers[0].Name] }

func claimBy(name string, q policy.Quantifier) policy.Claim {
	return policy.Claim{
		Type: "t", Quantifier: q, Conditions: []policy.Condition{says{}}, Signers: []policy.Signature{{Name: name, Signer: party(name)}}, Where: ".here",
	}
}

func evaluateClaim(t *testing.T, c policy.Claim, known policy.Stated, private bool) policy.Finding {
	t.Helper()
	in := policy.Input{Facts: claimFacts{"x": known}, Now: noon, Private: private}
	f := policy.Evaluate(t.Context(), policy.Attestation{Claim: c}, in)
	same := policy.Evaluate(t.Context(), policy.Artifact{Claim: c}, in)
	if c.Quantifier == policy.EveryFound { // which an attestation cannot ask for
		if f.Outcome != denied {
			t.Errorf("an attestation with EveryFound: want denied, got %s", f.Outcome)
		}
		return same
	}
	if f.Outcome != same.Outcome {
		t.Errorf("an attestation and an artifact: want one outcome, got %s and %s", f.Outcome, same.Outcome)
	}
	if (f.Outcome == policy.Allowed) != (len(f.Proofs) > 0) || (f.Outcome == policy.Allowed) == (len(f.Problems) > 0) {
		t.Errorf("want proofs if allowed and problems if not, got %s with %d proofs and %d problems", f.Outcome, len(f.Proofs), len(f.Problems))
	}
	if f.Outcome != policy.Allowed && f.Problems[0].Undecided() != (f.Outcome == policy.Undecided) {
		t.Errorf("want a first problem that explains %s, got %s", f.Outcome, f.Problems[0].Reason)
	}
	if f.Where != ".here" {
		t.Errorf("want the claim's place, got %q", f.Where)
	}
	return f
}

var (
	mismatch = &evidence.Problem{Reason: evidence.SignerMismatch}
	outage   = &evidence.Problem{Reason: evidence.RegistryTimeout}
	other    = &evidence.Problem{Reason: evidence.NotAttested, Got: "another type"}
)

const (
	denied, allowed, undecided = policy.Denied, policy.Allowed, policy.Undecided
)

// TestR5QuantifiersOverStatements goes through what may be known, and what each
// quantifier makes of it, in the order Any, Every, EveryFound, Newest.
func TestR5QuantifiersOverStatements(t *testing.T) {
	whole := func(words ...string) policy.Stated { return policy.Stated{Proofs: proofs(words...), Whole: true} }
	with := func(s policy.Stated, problems ...*evidence.Problem) policy.Stated { s.Problems = problems; return s }
	cut := func(s policy.Stated) policy.Stated { s.Whole = false; return s }
	unsigned := func(s policy.Stated) policy.Stated { s.Unsigned = 2; return s }
	type outcomes [4]policy.Outcome
	cases := map[string]struct {
		reason string
		known  policy.Stated
		want   outcomes
	}{
		"R23Nothing":           {"an empty set never satisfies", whole(), outcomes{denied, denied, denied, denied}},
		"R23NothingButOthers":  {"nor do statements of other types", with(whole(), other), outcomes{denied, denied, denied, denied}},
		"R23NothingByThem":     {"nor those of other signers", with(whole(), mismatch), outcomes{denied, denied, denied, denied}},
		"NothingYet":           {"an outage may hide one", with(whole(), outage), outcomes{undecided, undecided, undecided, undecided}},
		"NothingInACutList":    {"Any decides on what was seen", cut(whole()), outcomes{denied, undecided, undecided, undecided}},
		"ZeroStated":           {"nothing is known", policy.Stated{}, outcomes{denied, undecided, undecided, undecided}},
		"NothingSigned":        {"what is there counts for nobody", unsigned(whole()), outcomes{denied, denied, denied, denied}},
		"Met":                  {"one, and it does", whole("yes"), outcomes{allowed, allowed, allowed, allowed}},
		"MetAndOthers":         {"what does not count does not matter", with(whole("yes"), mismatch, other), outcomes{allowed, allowed, allowed, allowed}},
		"MetAndUnsigned":       {"unsigned ones matter where each must be signed", unsigned(whole("yes")), outcomes{allowed, allowed, denied, allowed}},
		"MetAndOpen":           {"there may be more", with(whole("yes"), outage), outcomes{allowed, undecided, undecided, undecided}},
		"MetInACutList":        {"there may be more", cut(whole("yes")), outcomes{allowed, undecided, undecided, undecided}},
		"Unmet":                {"one, and it does not", whole("no"), outcomes{denied, denied, denied, denied}},
		"UnmetAndOpen":         {"one more could meet it for Any; one that fails decides for all", with(whole("no"), outage), outcomes{undecided, denied, denied, undecided}},
		"UnmetInACutList":      {"Any decides on what was seen", cut(whole("no")), outcomes{denied, denied, denied, undecided}},
		"MetThenUnmet":         {"the newest meets it", whole("yes", "no"), outcomes{allowed, denied, denied, allowed}},
		"UnmetThenMet":         {"the newest does not", whole("no", "yes"), outcomes{allowed, denied, denied, denied}},
		"R32Erring":            {"what errs is false", whole("boom"), outcomes{denied, denied, denied, denied}},
		"R32ErringAmong":       {"and another may be true", whole("boom", "yes"), outcomes{allowed, denied, denied, denied}},
		"R32Limit":             {"a bound of a condition is an error of it", whole("limit"), outcomes{denied, denied, denied, denied}},
		"Malformed":            {"a document that is none", whole("malformed"), outcomes{denied, denied, denied, denied}},
		"Late":                 {"the caller's time ended", whole("late"), outcomes{undecided, undecided, undecided, undecided}},
		"LateAndMet":           {"one that is met suffices for Any", whole("late", "yes"), outcomes{allowed, undecided, undecided, undecided}},
		"LateAndUnmet":         {"one that fails decides, whatever is open", whole("late", "no"), outcomes{undecided, denied, denied, undecided}},
		"UnmetAndUnsigned":     {"either decides", unsigned(whole("no")), outcomes{denied, denied, denied, denied}},
		"LateAndUnsigned":      {"what is unsigned decides", unsigned(whole("late")), outcomes{undecided, undecided, denied, undecided}},
		"UnmetUnsignedOpen":    {"one that fails decides, whatever is open", with(unsigned(whole("no")), outage), outcomes{undecided, denied, denied, undecided}},
		"UnsignedOpenPossibly": {"an outage may hide the signature", with(unsigned(whole("yes")), outage), outcomes{allowed, undecided, undecided, undecided}},
	}
	quantifiers := [4]policy.Quantifier{policy.Any, policy.Every, policy.EveryFound, policy.Newest}
	for name, tc := range cases {
		for i, q := range quantifiers {
			t.Run(name+"/"+q.String(), func(t *testing.T) {
				f := evaluateClaim(t, claimBy("x", q), tc.known, false)
				if f.Outcome != tc.want[i] {
					t.Errorf("%s: want %s, got %s: %v", tc.reason, tc.want[i], f.Outcome, f.Problems)
				}
			})
		}
	}
}

func TestFailedConditionsAreClassified(t *testing.T) {
	cases := map[string]struct {
		word string
		want evidence.Reason
	}{
		"NotMet":       {"no", evidence.ConditionNotMet},
		"R32Err":       {"boom", evidence.ConditionFailed},
		"R32Undecided": {"limit", evidence.ConditionFailed},
		"Malformed":    {"malformed", evidence.MalformedEvidence},
		"Late":         {"late", evidence.DeadlineExceeded},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			known := policy.Stated{Proofs: proofs(tc.word), Whole: true}
			shown := evaluateClaim(t, claimBy("x", policy.Any), known, false).Problems[0]
			if shown.Reason != tc.want || shown.Path != known.Proofs[0].Source {
				t.Errorf("want %s at %q, got %s at %q", tc.want, known.Proofs[0].Source, shown.Reason, shown.Path)
			}
			hidden := evaluateClaim(t, claimBy("x", policy.Any), known, true).Problems[0]
			if hidden.Reason != tc.want {
				t.Errorf("private: want %s, got %s", tc.want, hidden.Reason)
			}
		})
	}
}

func TestR36WhatStatementsSayIsHidden(t *testing.T) {
	for _, word := range []string{"no", "boom", "limit", "malformed"} {
		for _, q := range []policy.Quantifier{policy.Any, policy.Every, policy.Newest} {
			known := policy.Stated{Proofs: proofs(word), Whole: true}
			shown, hidden := evaluateClaim(t, claimBy("x", q), known, false), evaluateClaim(t, claimBy("x", q), known, true)
			if !strings.Contains(shown.Problems[0].Error(), "boom") && !strings.Contains(shown.Problems[0].Error(), "secret") && word != "limit" {
				t.Errorf("%s %s: want the statement's words for who may see them, got %v", word, q, shown.Problems[0])
			}
			if got := hidden.Problems[0].Error(); strings.Contains(got, "secret") || strings.Contains(got, "boom") {
				t.Errorf("%s %s: want nothing that the statement says, got %s", word, q, got)
			}
			if hidden.Outcome != shown.Outcome {
				t.Errorf("%s %s: want one outcome for both, got %s and %s", word, q, shown.Outcome, hidden.Outcome)
			}
		}
	}
	known := policy.Stated{Proofs: proofs("yes"), Whole: true}
	hidden := evaluateClaim(t, claimBy("x", policy.Any), known, true)
	if s := hidden.Proofs[0].Statement; s == nil || s.Type != "t" || len(s.Payload) != 0 {
		t.Errorf("want a statement of the type without words, got %+v", s)
	}
	if string(known.Proofs[0].Statement.Payload) != "yes" {
		t.Error("want the known statement as it was")
	}
}

func TestMaxAgeNeedsAProvenTime(t *testing.T) {
	cases := map[string]struct {
		reason string
		proofs []policy.Proof
		q      policy.Quantifier
		want   policy.Outcome
		first  evidence.Reason
	}{
		"Young":          {"within", []policy.Proof{stated("yes", 24)}, policy.Any, allowed, ""},
		"OnTheHour":      {"just within", []policy.Proof{stated("yes", 48)}, policy.Any, allowed, ""},
		"Old":            {"beyond", []policy.Proof{stated("yes", 49)}, policy.Any, denied, evidence.ConditionNotMet},
		"R32Timeless":    {"no time is too old", []policy.Proof{stated("yes", -1)}, policy.Any, denied, evidence.TimestampMissing},
		"OneYoung":       {"one suffices", []policy.Proof{stated("yes", 49), stated("yes", 1)}, policy.Any, allowed, ""},
		"OneOldOfEvery":  {"one fails", []policy.Proof{stated("yes", 49), stated("yes", 1)}, policy.Every, denied, evidence.ConditionNotMet},
		"NewestYoung":    {"the newest counts", []policy.Proof{stated("yes", 49), stated("yes", 1)}, policy.Newest, allowed, ""},
		"NewestOld":      {"the newest is old", []policy.Proof{stated("yes", 60), stated("yes", 49)}, policy.Newest, denied, evidence.ConditionNotMet},
		"NewestTimeless": {"one alone needs a time for its age", []policy.Proof{stated("yes", -1)}, policy.Newest, denied, evidence.TimestampMissing},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := claimBy("x", tc.q)
			c.MaxAge = 48 * time.Hour
			f := evaluateClaim(t, c, policy.Stated{Proofs: tc.proofs, Whole: true}, false)
			var first evidence.Reason
			if len(f.Problems) > 0 {
				first = f.Problems[0].Reason
			}
			if f.Outcome != tc.want || first != tc.first {
				t.Errorf("%s: want %s %s, got %s %s", tc.reason, tc.want, tc.first, f.Outcome, first)
			}
		})
	}
}

func TestNewestTellsStatementsApart(t *testing.T) {
	cases := map[string]struct {
		reason string
		proofs []policy.Proof
		want   policy.Outcome
		counts int // proofs
	}{
		"AloneWithoutTime": {"one alone is the newest", []policy.Proof{stated("yes", -1)}, allowed, 1},
		"OneWithoutTime":   {"without a time it could be the newest", []policy.Proof{stated("yes", 1), stated("yes", -1)}, denied, 0},
		"FirstWithoutTime": {"whichever comes first", []policy.Proof{stated("yes", -1), stated("yes", 1)}, denied, 0},
		"SameTime":         {"both are the newest", []policy.Proof{stated("yes", 1), stated("yes", 1), stated("no", 2)}, allowed, 2},
		"SameTimeUnmet":    {"and one fails", []policy.Proof{stated("yes", 1), stated("no", 1)}, denied, 0},
		"Order":            {"the order of the list does not matter", []policy.Proof{stated("no", 9), stated("yes", 1), stated("no", 5)}, allowed, 1},
		"SameTimeLate":     {"one that fails decides beside one that is open", []policy.Proof{stated("late", 1), stated("no", 1)}, denied, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for i := range tc.proofs {
				tc.proofs[i].Source += fmt.Sprintf(" #%d", i)
			}
			f := evaluateClaim(t, claimBy("x", policy.Newest), policy.Stated{Proofs: tc.proofs, Whole: true}, false)
			if f.Outcome != tc.want || len(f.Proofs) != tc.counts {
				t.Errorf("%s: want %s by %d, got %s by %d", tc.reason, tc.want, tc.counts, f.Outcome, len(f.Proofs))
			}
		})
	}
}

func TestEveryConditionMustHold(t *testing.T) {
	c := claimBy("x", policy.Any)
	c.Conditions = nil
	if f := evaluateClaim(t, c, policy.Stated{Proofs: proofs("no"), Whole: true}, false); f.Outcome != allowed {
		t.Errorf("without conditions: want allowed, got %s", f.Outcome)
	}
	c.Conditions = []policy.Condition{always{}, says{}}
	if f := evaluateClaim(t, c, policy.Stated{Proofs: proofs("no"), Whole: true}, false); f.Outcome != denied {
		t.Errorf("with a second one that does not: want denied, got %s", f.Outcome)
	}
}

type always struct{}

func (always) String() string                                     { return "always" }
func (always) Check(context.Context, policy.ConditionInput) error { return nil }

// Statements of one identity, or one statement that two signers count, fill one
// slot.
func TestR28ThresholdsOverClaims(t *testing.T) {
	by := func(identity, source string) policy.Stated {
		return policy.Stated{Whole: true, Proofs: []policy.Proof{{Identity: identity, Source: source, Statement: policy.NewStatement("t", []byte("yes"))}}}
	}
	cases := map[string]struct {
		reason string
		facts  claimFacts
		want   policy.Outcome
	}{
		"Two":          {"two identities, two statements", claimFacts{"x": by("a", "1"), "y": by("b", "2"), "z": {Whole: true}}, allowed},
		"OneIdentity":  {"one identity", claimFacts{"x": by("a", "1"), "y": by("a", "2"), "z": {Whole: true}}, denied},
		"OneStatement": {"one signature", claimFacts{"x": by("a", "1"), "y": by("b", "1"), "z": {Whole: true}}, denied},
		"OneOpen":      {"a third could come", claimFacts{"x": by("a", "1"), "y": {Whole: true}, "z": {Problems: []*evidence.Problem{outage}}}, undecided},
		"Unmet":        {"a statement that does not meet the condition is none", claimFacts{"x": by("a", "1"), "y": {Whole: true, Proofs: proofs("no")}, "z": {Whole: true}}, denied},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for kind, leaf := range map[string]func(string) policy.Requirement{
				"attestation": func(n string) policy.Requirement { return policy.Attestation{Claim: claimBy(n, policy.Any)} },
				"artifact":    func(n string) policy.Requirement { return policy.Artifact{Claim: claimBy(n, policy.Any)} },
			} {
				tree := policy.AtLeast{Count: 2, Of: []policy.Requirement{leaf("x"), leaf("y"), leaf("z")}}
				if f := policy.Evaluate(t.Context(), tree, policy.Input{Facts: tc.facts, Now: noon}); f.Outcome != tc.want {
					t.Errorf("%s, %s: want %s, got %s", tc.reason, kind, tc.want, f.Outcome)
				}
			}
		})
	}
}

func TestR23SignaturesSatisfyNoClaim(t *testing.T) {
	signed := policy.SignatureFacts(func(policy.Signature) policy.Leaf {
		return policy.Leaf{Outcome: allowed, Proofs: []policy.Proof{{Identity: "k", Source: "signature"}}}
	})
	for _, q := range []policy.Quantifier{policy.Any, policy.Every, policy.EveryFound, policy.Newest, 99} {
		for _, leaf := range []policy.Requirement{policy.Attestation{Claim: claimBy("x", q)}, policy.Artifact{Claim: claimBy("x", q)}} {
			if f := policy.Evaluate(t.Context(), leaf, policy.Input{Facts: signed}); f.Outcome != denied {
				t.Errorf("%T %s: want denied, got %s", leaf, q, f.Outcome)
			}
		}
	}
}

func TestClaimsSayWhatTheyExpect(t *testing.T) {
	cases := map[string]struct {
		leaf policy.Requirement
		want string
	}{
		"Any":        {policy.Attestation{Claim: claimBy("x", policy.Any)}, `a signed attestation of type "t" by "x" (key x)`},
		"Every":      {policy.Attestation{Claim: claimBy("x", policy.Every)}, `every signed attestation of type "t" by "x" (key x)`},
		"EveryFound": {policy.Artifact{Claim: claimBy("x", policy.EveryFound)}, `every one found to be a signed artifact of type "t" by "x" (key x)`},
		"Newest":     {policy.Attestation{Claim: claimBy("x", policy.Newest)}, `the newest signed attestation of type "t" by "x" (key x)`},
	}
	for name, tc := range cases {
		f := policy.Evaluate(t.Context(), tc.leaf, policy.Input{Facts: claimFacts{"x": {Whole: true, Unsigned: 3}}})
		if diff := cmp.Diff(tc.want, f.Expected); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
		if f.Problems[0].Got != "3 that nobody who counts has signed" {
			t.Errorf("%s: want what was found, got %q", name, f.Problems[0].Got)
		}
	}
}
