package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

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
	met, unmet := e.meet(c, known.Proofs)
	switch {
	case len(known.Proofs) == 0:
		return f.without(known.Problems, open, evidence.NotAttested, "none")
	case c.Quantifier == Any && len(met) > 0:
		return f.with(met)
	case c.Quantifier == Any:
		f.Outcome = Denied
		if open || undecidedAmong(unmet) {
			f.Outcome = Undecided
			unmet = append(unmet, known.Problems...)
		}
		f.Problems = unmet
		return f
	case c.Quantifier == Newest:
		return e.newest(c, f, known, open)
	}
	return everyOf(c, f, known, met, unmet, open)
}

// everyOf decides a claim over all statements: one that fails decides, and
// nothing is proven by a list that may be incomplete (TRUST R5).
func everyOf(c Claim, f Finding, known Stated, met []Proof, unmet []*evidence.Problem, open bool) Finding {
	switch {
	case len(unmet) > 0 && !undecidedAmong(unmet):
		f.Outcome, f.Problems = Denied, unmet
	case c.Quantifier == EveryFound && known.Unsigned > 0:
		return f.without(known.Problems, open, evidence.NotAttested, fmt.Sprintf("%d that nobody who counts has signed", known.Unsigned))
	case len(unmet) > 0:
		f.Outcome, f.Problems = Undecided, unmet
	case open || !known.Whole:
		return f.without(known.Problems, true, evidence.LimitExceeded, "a list that may be incomplete")
	default:
		return f.with(met)
	}
	return f
}

// newest decides by the statement with the latest proven time.
func (e evaluation) newest(c Claim, f Finding, known Stated, open bool) Finding {
	if open || !known.Whole {
		return f.without(known.Problems, true, evidence.LimitExceeded, "a list that may be incomplete")
	}
	latest := known.Proofs[0]
	for _, p := range known.Proofs {
		if p.Time.IsZero() && len(known.Proofs) > 1 {
			f.Outcome = Denied
			f.Problems = []*evidence.Problem{{
				Reason: evidence.TimestampMissing, Path: p.Source, Expected: "a proven time, to tell which statement is the newest", Got: "none",
			}}
			return f
		}
		if p.Time.After(latest.Time) {
			latest = p
		}
	}
	// Those of one time are all the newest: none may fail.
	same := slices.DeleteFunc(slices.Clone(known.Proofs), func(p Proof) bool { return !p.Time.Equal(latest.Time) })
	met, unmet := e.meet(c, same)
	if len(unmet) > 0 {
		f.Outcome, f.Problems = Denied, unmet
		if undecidedAmong(unmet) {
			f.Outcome = Undecided
		}
		return f
	}
	return f.with(met)
}

func undecidedAmong(problems []*evidence.Problem) bool {
	return slices.ContainsFunc(problems, (*evidence.Problem).Undecided)
}

func (f Finding) with(proofs []Proof) Finding {
	f.Outcome, f.Proofs = Allowed, proofs
	return f
}

// without is the finding of a claim that no statement satisfies.
func (f Finding) without(problems []*evidence.Problem, open bool, reason evidence.Reason, got string) Finding {
	f.Outcome = Denied
	if open {
		f.Outcome = Undecided
	}
	f.Problems = slices.Clone(problems)
	// What was found of other kinds does not say that the asked one is missing.
	telling := slices.ContainsFunc(problems, func(p *evidence.Problem) bool { return p.Reason != evidence.NotAttested })
	if !telling || reason != evidence.NotAttested || got != "none" {
		f.Problems = append([]*evidence.Problem{{Reason: reason, Expected: f.Expected, Got: got}}, f.Problems...)
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
	for _, condition := range c.Conditions {
		err := condition.Check(e.ctx, ConditionInput{
			Statement: p.Statement, Proof: p, Image: e.in.Image, Digest: e.in.Digest, Request: e.in.Request, Now: e.in.Now,
		})
		if err != nil {
			return e.failed(condition, p, err)
		}
	}
	return nil
}

// failed classifies why a condition does not hold.
func (e evaluation) failed(condition Condition, p Proof, err error) *evidence.Problem {
	problem := *evidence.ProblemOf(err)
	if problem.Reason == evidence.Internal { // a condition that errs is false (TRUST R32)
		problem = evidence.Problem{Reason: evidence.ConditionFailed, Expected: "condition " + condition.String(), Got: "an error", Err: err}
	}
	if e.in.Private { // what statements say is not for this caller (TRUST R36)
		problem.Err = nil
		if problem.Reason == evidence.ConditionNotMet {
			problem.Got = "another value"
		}
	}
	if problem.Path == "" {
		problem.Path = p.Source
	}
	return &problem
}

func (e evaluation) age(c Claim, p Proof) *evidence.Problem {
	if c.MaxAge <= 0 {
		return nil
	}
	expected := "a statement that is at most " + c.MaxAge.String() + " old"
	switch {
	case p.Time.IsZero():
		return &evidence.Problem{Reason: evidence.TimestampMissing, Path: p.Source, Expected: expected, Got: "one without a proven time"}
	case e.in.Now.Sub(p.Time) > c.MaxAge:
		return &evidence.Problem{Reason: evidence.ConditionNotMet, Path: p.Source, Expected: expected, Got: "one of " + p.Time.UTC().Format(time.RFC3339)}
	}
	return nil
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
	which := "a signed "
	if c.Quantifier != Any {
		which = strings.ToLower(c.Quantifier.String()) + " signed "
	}
	return fmt.Sprintf("%s%s of type %q by %s", which, kind, c.Type, by)
}
