package policy

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/bonafide-dev/bonafide/evidence"
)

// Leaf is what is known about one signer and one image.
type Leaf struct {
	Outcome  Outcome
	Proofs   []Proof             // every proof at hand if Allowed: thresholds choose among them
	Problems []*evidence.Problem // why not, the most telling first
}

// Evaluate turns a requirement tree and what is known of its leaves into the
// finding that mirrors it. leaf is called once for each Signature node and must
// be deterministic.
//
// The logic has three values, after Kleene: [AnyOf] is allowed as soon as one
// child is, [All] is denied as soon as one child is, [AtLeast] is denied when
// its count can no longer be reached. A nil tree is denied (TRUST R48).
func Evaluate(r Requirement, leaf func(Signature) Leaf) Finding {
	return evaluation{leaf: leaf}.node(r, "require")
}

// Signatures returns the Signature leaves of a tree, in order.
func Signatures(r Requirement) []Signature {
	var found []Signature
	var walk func(Requirement)
	walk = func(r Requirement) {
		switch n := r.(type) {
		case Signature:
			found = append(found, n)
		case All:
			each(n.Of, walk)
		case AnyOf:
			each(n.Of, walk)
		case AtLeast:
			each(n.Of, walk)
		}
	}
	walk(r)
	return found
}

func each(of []Requirement, f func(Requirement)) {
	for _, r := range of {
		f(r)
	}
}

type evaluation struct {
	leaf func(Signature) Leaf
}

func (e evaluation) node(r Requirement, path string) Finding {
	switch n := r.(type) {
	case Signature:
		return e.signature(n, path)
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
	known := e.leaf(s)
	f := Finding{Path: path, Outcome: known.Outcome, Expected: "a signature by " + s.label(), Problems: known.Problems}
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
	for _, c := range children {
		if c.Outcome != outcome {
			continue
		}
		for _, p := range c.Problems {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}
