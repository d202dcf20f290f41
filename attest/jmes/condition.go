package jmes

import (
	"context"
	"errors"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// A condition is a compiled policy.Condition: immutable.
type condition struct {
	blocks  []block
	context map[string]any
	census  census // of all keys and values
}

type block struct{ any, all []*test }

type test struct {
	key, value *operand
	operator   operator
	message    string
	source     string // as its author wrote it, bounded
}

// uncomparable is an operator's error, as opposed to one of a variable: false
// among alternatives, but not known to be.
type uncomparable struct{ err error }

func (u *uncomparable) Error() string { return u.err.Error() }

func (u *uncomparable) Unwrap() error { return u.err }

// String returns the condition as its author wrote it, bounded.
func (c *condition) String() string {
	var parts []string
	length := 0
	for _, b := range c.blocks {
		for _, group := range [...]struct {
			joint string
			tests []*test
		}{{" or ", b.any}, {" and ", b.all}} {
			var sources []string
			for _, t := range group.tests {
				if length += len(t.source); length > 2*maxShown {
					break
				}
				sources = append(sources, t.source)
			}
			if len(sources) > 0 {
				parts = append(parts, strings.Join(sources, group.joint))
			}
		}
	}
	return clip(strings.Join(parts, "; "), maxShown)
}

// Check implements [policy.Condition].
func (c *condition) Check(ctx context.Context, in policy.ConditionInput) error {
	return c.checkWith(newEvaluator(ctx, in.Now), in)
}

func (c *condition) checkWith(e *evaluator, in policy.ConditionInput) error {
	if err := e.alive(); err != nil {
		return err
	}
	root, err := c.root(in)
	if err != nil {
		return err
	}
	if err := e.step(len(root)); err != nil {
		return failed(c.String(), err)
	}
	for _, b := range c.blocks {
		if err := c.checkAny(e, root, b.any); err != nil {
			return err
		}
		for _, t := range b.all {
			if err := e.alive(); err != nil {
				return err
			}
			if err := c.check(e, root, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkAny asks for one test that holds. One whose variables do not resolve ends
// the search, as in Kyverno; one that cannot be compared is passed over, but
// leaves it open whether none holds.
func (c *condition) checkAny(e *evaluator, root map[string]any, tests []*test) error {
	if len(tests) == 0 {
		return nil
	}
	var unmet []*evidence.Problem
	for _, t := range tests {
		if err := e.alive(); err != nil {
			return err
		}
		err := c.check(e, root, t)
		if err == nil {
			return nil
		}
		p := evidence.ProblemOf(err)
		var passed *uncomparable
		if p.Reason != evidence.ConditionNotMet && !errors.As(err, &passed) {
			return err
		}
		unmet = append(unmet, p)
	}
	if len(unmet) == 1 {
		return unmet[0]
	}
	none := &evidence.Problem{Reason: evidence.ConditionNotMet}
	var expected, got []string
	for _, p := range unmet {
		if p.Reason != evidence.ConditionNotMet {
			none.Reason, none.Err = p.Reason, p.Err
		}
		expected, got = append(expected, p.Expected), append(got, p.Got)
	}
	none.Expected = "one of: " + clip(strings.Join(expected, "; "), 2*maxShown)
	if none.Got = clip(strings.Join(got, "; "), 2*maxShown); none.Err != nil {
		none.Got = "an error" // what was found is only told with the reason that is kept from some
	}
	return none
}

// check returns nil if the test holds.
func (c *condition) check(e *evaluator, root map[string]any, t *test) error {
	expected := t.message
	if expected == "" {
		expected = t.source
	}
	key, err := t.key.render(e, root, c.authored)
	if err != nil {
		return failed(expected, err)
	}
	value, err := t.value.render(e, root, c.authored)
	if err != nil {
		return failed(expected, err)
	}
	holds, err := t.operator.compare(comparisonOf{e, t.operator, key, value})
	if err != nil {
		return failed(expected, &uncomparable{err})
	}
	if !holds {
		return &evidence.Problem{Reason: evidence.ConditionNotMet, Expected: expected, Got: shown(key.value)}
	}
	return nil
}

// authored reports whether what a variable resolves to was written by whoever
// wrote the policy, rather than into a document or a request.
func (c *condition) authored(v *variable) bool {
	for _, p := range v.paths {
		if len(p) == 0 {
			return false
		}
		if _, is := c.context[p[0]]; !is {
			return false
		}
	}
	return true
}

// failed says that a test could not be decided, which counts as false (TRUST
// R32). The details may hold parts of the statement and stay in the cause.
func failed(expected string, err error) error {
	var p *evidence.Problem
	if errors.As(err, &p) {
		return p // the context's end
	}
	return &evidence.Problem{Reason: evidence.ConditionFailed, Expected: expected, Got: "an error", Err: err}
}
