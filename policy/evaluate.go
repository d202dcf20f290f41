package policy

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Leaf is what is known about one signer and one image.
type Leaf struct {
	Outcome  Outcome
	Proofs   []Proof             // every proof at hand if Allowed: thresholds choose among them
	Problems []*evidence.Problem // why not, the most telling first
}

// Facts are what is known about an image. The methods are called once for each
// leaf, must be deterministic and must not wait.
type Facts interface {
	Signature(Signature) Leaf
	Attestation(Attestation) Stated
	Artifact(Artifact) Stated
}

// SignatureFacts are facts about signatures alone: no claim is proven.
type SignatureFacts func(Signature) Leaf

// Signature calls f.
func (f SignatureFacts) Signature(s Signature) Leaf { return f(s) }

// Attestation knows of none.
func (SignatureFacts) Attestation(Attestation) Stated { return Stated{Whole: true} }

// Artifact knows of none.
func (SignatureFacts) Artifact(Artifact) Stated { return Stated{Whole: true} }

// Input is what a requirement tree is evaluated over.
type Input struct {
	Facts   Facts
	Image   imageref.Reference
	Digest  imageref.Digest // that the facts are about
	Request Request
	Now     time.Time
	// Check evaluates a condition, or remembers what came of it; nil evaluates.
	Check func(context.Context, Condition, ConditionInput) error
	// Private keeps what statements say out of the findings: the caller's own
	// credentials could not have read them (TRUST R36).
	Private bool
}

// Evaluate turns a requirement tree and what is known of its leaves into the
// finding that mirrors it. The context ends conditions that take too long.
//
// The logic has three values, after Kleene: [AnyOf] is allowed as soon as one
// child is, [All] is denied as soon as one child is, [AtLeast] is denied when
// its count can no longer be reached. A nil tree is denied (TRUST R48).
func Evaluate(ctx context.Context, r Requirement, in Input) Finding {
	return evaluation{ctx: ctx, in: in}.node(r, "require")
}

type evaluation struct {
	ctx context.Context //nolint:containedctx // lives as long as one Evaluate
	in  Input
}

func (e evaluation) node(r Requirement, path string) Finding {
	switch n := r.(type) {
	case Signature:
		return e.signature(n, path)
	case Attestation:
		if n.Quantifier == EveryFound { // nobody counts the statements of strangers
			return Finding{Path: path, Where: n.Where, Outcome: Denied, Expected: n.expected("attestation"), Problems: []*evidence.Problem{{
				Reason: evidence.StaticallyDenied, Expected: "quantifier Any, Every or Newest of an attestation", Got: n.Quantifier.String(),
			}}}
		}
		return e.claim(n.Claim, "attestation", e.in.Facts.Attestation(n), path)
	case Artifact:
		return e.claim(n.Claim, "artifact", e.in.Facts.Artifact(n), path)
	case Static:
		return static(n, path)
	case All:
		f := Finding{Path: path, Expected: "all of " + strconv.Itoa(len(n.Of)), Children: e.children(n.Of, path)}
		f.Outcome = allOf(f.Children)
		return explain(f, "at least one requirement")
	case AnyOf:
		f := Finding{Path: path, Expected: "any of " + strconv.Itoa(len(n.Of)), Children: e.children(n.Of, path+".anyOf")}
		f.Outcome = anyOf(f.Children)
		return explain(f, "at least one alternative")
	case AtLeast:
		return e.atLeast(n, path)
	}
	return Finding{Path: path, Outcome: Denied, Expected: "a requirement", Problems: []*evidence.Problem{{
		Reason: evidence.StaticallyDenied, Expected: "a requirement", Got: "none",
	}}}
}

func (e evaluation) children(of []Requirement, path string) []Finding {
	found := make([]Finding, len(of))
	for i, r := range of {
		found[i] = e.node(r, path+"["+strconv.Itoa(i)+"]")
	}
	return found
}

func (e evaluation) signature(s Signature, path string) Finding {
	known := e.in.Facts.Signature(s)
	f := Finding{Path: path, Where: s.Where, Outcome: known.Outcome, Expected: "a signature by " + s.label(), Problems: known.Problems}
	if known.Outcome == Allowed {
		f.Proofs = known.Proofs
		if len(known.Proofs) == 0 { // an empty set never allows (TRUST R48)
			f.Outcome = Undecided
			f.Problems = []*evidence.Problem{{Reason: evidence.Internal, Expected: "a proof", Got: "an allowed leaf without one"}}
		}
	}
	return f
}

func (s Signature) label() string {
	if s.Name == "" {
		return s.Signer.Describe()
	}
	return fmt.Sprintf("%q (%s)", s.Name, s.Signer.Describe())
}

func static(s Static, path string) Finding {
	if s.Allow {
		return Finding{Path: path, Outcome: Allowed, Expected: "nothing: allowed statically"}
	}
	got := "a policy that denies it"
	if s.Reason != "" {
		got += ": " + s.Reason
	}
	return Finding{Path: path, Outcome: Denied, Problems: []*evidence.Problem{{
		Reason: evidence.StaticallyDenied, Expected: "an image that may run", Got: got,
	}}}
}

func allOf(children []Finding) Outcome {
	if len(children) == 0 {
		return Denied
	}
	outcome := Allowed
	for _, c := range children {
		switch c.Outcome {
		case Denied, Unmatched:
			return Denied
		case Undecided:
			outcome = Undecided
		case Allowed:
		}
	}
	return outcome
}

func anyOf(children []Finding) Outcome {
	outcome := Denied
	for _, c := range children {
		switch c.Outcome {
		case Allowed:
			return Allowed
		case Undecided:
			outcome = Undecided
		case Denied, Unmatched:
		}
	}
	return outcome
}

func (e evaluation) atLeast(n AtLeast, path string) Finding {
	f := Finding{
		Path:     path,
		Expected: fmt.Sprintf("%d of %d distinct signers", n.Count, len(n.Of)),
		Children: e.children(n.Of, path+".atLeast"),
	}
	if n.Name != "" {
		f.Expected += fmt.Sprintf(" of group %q", n.Name)
	}
	var open int
	for _, c := range f.Children {
		if c.Outcome == Undecided {
			open++
		}
	}
	reached, whole := distinct(n, f)
	switch {
	case n.Count >= 1 && reached >= n.Count:
		f.Outcome = Allowed
		return f
	case n.Count >= 1 && reached+open >= n.Count, !whole:
		f.Outcome = Undecided
	default:
		f.Outcome = Denied
	}
	problem := &evidence.Problem{
		Reason: evidence.ThresholdNotReached, Expected: fmt.Sprintf("%d distinct signers", n.Count), Got: strconv.Itoa(reached),
	}
	if !whole {
		problem = &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("at most %d ways to fill the group", maxSteps), Got: "more"}
	}
	f.Problems = append([]*evidence.Problem{problem}, problemsOf(f.Children, f.Outcome)...)
	return f
}

// Together is the finding that all of several are allowed, as of the platforms of
// an image. Without any it is denied (TRUST R48).
func Together(path, expected string, of []Finding) Finding {
	return explain(Finding{Path: path, Expected: expected, Outcome: allOf(of), Children: of}, "at least one finding")
}

// explain lifts the problems of the children that explain a node's outcome.
func explain(f Finding, expectedChild string) Finding {
	if f.Outcome == Allowed {
		return f
	}
	if len(f.Children) == 0 {
		f.Problems = []*evidence.Problem{{Reason: evidence.StaticallyDenied, Expected: expectedChild, Got: "none"}}
		return f
	}
	f.Problems = problemsOf(f.Children, f.Outcome)
	return f
}

// problemsOf collects the problems of the children that have the outcome, in
// order, without repetition.
func problemsOf(children []Finding, outcome Outcome) []*evidence.Problem {
	var all []*evidence.Problem
	seen := map[*evidence.Problem]bool{}
	for _, c := range children {
		if c.Outcome != outcome {
			continue
		}
		for _, p := range c.Problems {
			if !seen[p] {
				seen[p] = true
				all = append(all, p)
			}
		}
	}
	return all
}
