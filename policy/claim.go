package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// Stated is what is known about the statements that a claim asks for.
type Stated struct {
	// Proofs are the verified statements, each once, in the order of the
	// evidence.
	Proofs []Proof
	// Problems are why others are not, the most telling first. An undecided one
	// means that there may be more.
	Problems []*evidence.Problem
	// Whole reports that everything there is was looked at: no cap cut the list
	// and nothing was passed over.
	Whole bool
	// Unsigned is how many were found of the type that none of the signers
	// signed.
	Unsigned int
}

// claim evaluates a leaf over statements. kind says what is claimed, for
// messages.
func (e evaluation) claim(c Claim, kind string, known Stated, path string) Finding {
	f := Finding{Path: path, Where: c.Where, Expected: c.expected(kind)}
	open := slices.ContainsFunc(known.Problems, (*evidence.Problem).Undecided)
	if len(known.Proofs) == 0 {
		return f.nothing(c, known, open)
	}
	switch c.Quantifier {
	case Any:
		return e.any(c, f, known, open)
	case Newest:
		return e.newest(c, f, known, open)
	case Every, EveryFound:
	}
	return e.every(c, f, known, open)
}

// any decides by what was seen: one statement suffices.
func (e evaluation) any(c Claim, f Finding, known Stated, open bool) Finding {
	met, unmet := e.meet(c, known.Proofs)
	if len(met) > 0 {
		return e.with(f, met)
	}
	f.Outcome, f.Problems = Denied, unmet
	if open || undecidedAmong(unmet) {
		f.Outcome, f.Problems = Undecided, undecidedFirst(slices.Concat(unmet, known.Problems))
	}
	return f
}

// every decides over all statements.
func (e evaluation) every(c Claim, f Finding, known Stated, open bool) Finding {
	met, unmet := e.meet(c, known.Proofs)
	switch {
	case failedAmong(unmet):
		return f.failing(unmet)
	case c.Quantifier == EveryFound && known.Unsigned > 0:
		return f.without(known.Problems, open, known.unsigned())
	case len(unmet) > 0:
		return f.failing(unmet)
	case open || !known.Whole:
		return f.incomplete(known)
	}
	return e.with(f, met)
}

// failing is the finding of a claim that every one of some statements must
// meet: one that fails decides, whatever is open.
func (f Finding) failing(unmet []*evidence.Problem) Finding {
	f.Outcome = Undecided
	if failedAmong(unmet) {
		f.Outcome = Denied
	}
	for _, p := range unmet {
		if p.Undecided() == (f.Outcome == Undecided) { // what did not decide explains nothing
			f.Problems = append(f.Problems, p)
		}
	}
	return f
}

// incomplete is the finding of a claim about all statements where there may be
// more: nothing is proven by a list that may be incomplete (TRUST R5).
func (f Finding) incomplete(known Stated) Finding {
	f.Outcome, f.Problems = Undecided, slices.Clone(known.Problems)
	if !known.Whole {
		f.Problems = append([]*evidence.Problem{{
			Reason: evidence.LimitExceeded, Expected: f.Expected, Got: "a list that may be incomplete",
		}}, f.Problems...)
	}
	return f
}

func failedAmong(problems []*evidence.Problem) bool {
	return slices.ContainsFunc(problems, func(p *evidence.Problem) bool { return !p.Undecided() })
}

// undecidedFirst puts what leaves a claim open in front of the rest.
func undecidedFirst(problems []*evidence.Problem) []*evidence.Problem {
	var open, rest []*evidence.Problem
	for _, p := range problems {
		if p.Undecided() {
			open = append(open, p)
			continue
		}
		rest = append(rest, p)
	}
	return append(open, rest...)
}

func undecidedAmong(problems []*evidence.Problem) bool {
	return slices.ContainsFunc(problems, (*evidence.Problem).Undecided)
}

// with is the finding of a claim that statements satisfy.
func (e evaluation) with(f Finding, proofs []Proof) Finding {
	f.Outcome, f.Proofs = Allowed, proofs
	if !e.in.Private {
		return f
	}
	f.Proofs = slices.Clone(proofs)
	for i := range f.Proofs { // what statements say is not for this caller (TRUST R36)
		if s := f.Proofs[i].Statement; s != nil {
			f.Proofs[i].Statement = &Statement{Type: s.Type, member: s.member}
		}
	}
	return f
}

// nothing is the finding of a claim of which no statement is verified. Any
// decides on what was seen; the others cannot where there may be more (TRUST
// R5).
func (f Finding) nothing(c Claim, known Stated, open bool) Finding {
	if c.Quantifier != Any && !known.Whole {
		return f.incomplete(known)
	}
	if known.Unsigned > 0 {
		return f.without(known.Problems, open, known.unsigned())
	}
	return f.without(known.Problems, open, "none")
}

// unsigned says what was found of statements that do not count.
func (s Stated) unsigned() string {
	return fmt.Sprintf("%d that nobody who counts has signed", s.Unsigned)
}

// without is the finding of a claim that no statement satisfies.
func (f Finding) without(problems []*evidence.Problem, open bool, got string) Finding {
	f.Outcome = Denied
	if open {
		f.Outcome = Undecided
	}
	f.Problems = slices.Clone(problems)
	// What was found of other kinds does not say that the asked one is missing.
	telling := slices.ContainsFunc(problems, func(p *evidence.Problem) bool { return p.Reason != evidence.NotAttested })
	if !telling || got != "none" {
		f.Problems = append([]*evidence.Problem{{Reason: evidence.NotAttested, Expected: f.Expected, Got: got}}, f.Problems...)
	}
	if open {
		f.Problems = undecidedFirst(f.Problems)
	}
	return f
}

// meet tells the statements that meet a claim's age and conditions from the
// problems of those that do not.
func (e evaluation) meet(c Claim, proofs []Proof) (met []Proof, unmet []*evidence.Problem) {
	for _, p := range proofs {
		if problem := e.check(c, p); problem != nil {
			unmet = append(unmet, problem)
			continue
		}
		met = append(met, p)
	}
	return met, unmet
}

func (e evaluation) check(c Claim, p Proof) *evidence.Problem {
	if problem := e.age(c, p); problem != nil {
		return problem
	}
	in := ConditionInput{Statement: p.Statement, Proof: p, Image: e.in.Image, Digest: e.in.Digest, Request: e.in.Request, Now: e.in.Now}
	for _, condition := range c.Conditions {
		var err error
		if e.in.Check != nil {
			err = e.in.Check(e.ctx, condition, in)
		} else {
			err = condition.Check(e.ctx, in)
		}
		if err != nil {
			return e.failed(condition, p, err)
		}
	}
	return nil
}

// failed classifies why a condition does not hold. One that errs is false
// (TRUST R32): only the end of the caller's time leaves it open.
func (e evaluation) failed(condition Condition, p Proof, err error) *evidence.Problem {
	problem := *evidence.ProblemOf(err)
	ended := problem.Reason == evidence.DeadlineExceeded || problem.Reason == evidence.Cancelled
	if problem.Undecided() && !ended {
		problem = evidence.Problem{Reason: evidence.ConditionFailed, Expected: "condition " + condition.String(), Got: "an error", Err: err}
	}
	if e.in.Private { // what statements say is not for this caller (TRUST R36)
		problem.Err = nil
		if problem.Got != "" && problem.Reason != evidence.ConditionFailed {
			problem.Got = "another value"
		}
	}
	if problem.Path == "" {
		problem.Path = p.Source
	}
	return &problem
}

// expected says in words what a claim asks for.
func (c Claim) expected(kind string) string {
	var names []string
	for _, s := range c.Signers {
		names = append(names, s.label())
	}
	const most = 3
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(names)-most))
	}
	by := "nobody"
	if len(names) > 0 {
		by = strings.Join(names, " or ")
	}
	which := map[Quantifier]string{Every: "every signed ", EveryFound: "every one found to be a signed ", Newest: "the newest signed "}[c.Quantifier]
	if which == "" {
		which = "a signed "
	}
	return fmt.Sprintf("%s%s of type %q by %s", which, kind, c.Type, by)
}
