package engine

import (
	"context"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// subject is one digest of the image, and what is known about it. It is used by
// one goroutine at a time.
type subject struct {
	*work
	digest   imageref.Digest
	policies []selected // that are decided by this digest
	log      log

	tasks    tasks
	looks    []*gathering                    // of tasks, one for each place
	known    map[policy.SignerID]policy.Leaf // about signatures
	stated   map[statementTask]stated        // about attestations
	embedded map[statementTask]stated        // about statements that an index holds
	found    map[imageref.Digest]*artifact   // artifacts that were looked at
	order    []imageref.Digest               // of found
	checked  map[check]error                 // conditions, each evaluated once
	failed   *evidence.Problem               // why nothing could be looked up
	index    bool                            // the digest was read, and is an index's
	within   []evidence.Image                // the indexes that lead to the digest, the image's own first
}

// subject returns the digest to be decided by the policies. It has no
// gatherings before [subject.split].
func (w *work) subject(digest imageref.Digest, policies []selected) *subject {
	s := &subject{work: w, digest: digest, policies: policies, tasks: tasksOf(policies), log: log{began: w.engine.options.Now()}, known: map[policy.SignerID]policy.Leaf{}}
	if len(s.tasks.statements) > 0 {
		s.stated = map[statementTask]stated{}
	}
	if len(s.tasks.embedded) > 0 {
		s.embedded = map[statementTask]stated{}
	}
	if len(s.tasks.artifacts) > 0 {
		s.found = map[imageref.Digest]*artifact{}
	}
	return s
}

// lister is the index that lists the digest, which is a platform's.
func (s *subject) lister() evidence.Image { return s.within[len(s.within)-1] }

func (s *subject) step(name, detail string) { s.log.note(s.engine.options.Now(), name, detail) }

// satisfied reports whether each policy allows by what is known so far: nothing
// more needs to be found out then, whatever other signers may have signed. What
// was proven before does not count: it is only for what cannot be found out.
func (s *subject) satisfied(ctx context.Context) bool {
	if !s.tasks.covered(s.known) {
		return false
	}
	for _, p := range s.policies {
		if s.evaluate(ctx, p, false).Outcome != policy.Allowed {
			return false
		}
	}
	return true
}

// evaluate is what one policy finds about the digest. final also counts what was
// proven before, for policies that allow by it.
func (s *subject) evaluate(ctx context.Context, p selected, final bool) policy.Finding {
	switch {
	case p.Invalid != nil:
		return undecided(&evidence.Problem{Reason: evidence.PolicyNotReady, Expected: "a policy that compiles", Got: "one that does not", Err: p.Invalid})
	case p.doubt != nil:
		return undecided(&evidence.Problem{Reason: evidence.SelectionFailed, Expected: "to know whether the policy applies", Got: "an error", Err: p.doubt})
	}
	return policy.Evaluate(ctx, p.require, policy.Input{
		Facts: facts{subject: s, before: final && p.OnUndecided == policy.AllowIfProvenBefore},
		Image: s.decision.Reference, Digest: s.digest, Request: s.request.Request, Now: s.engine.options.Now(), Private: s.private(),
		Check: s.check,
	})
}

// check is a condition over what one proof says.
type check struct {
	condition policy.Condition
	statement *policy.Statement
	source    string
}

// check evaluates a condition once for a decision, however often the policies
// are weighed. What ended with the caller's time is evaluated again.
func (s *subject) check(ctx context.Context, c policy.Condition, in policy.ConditionInput) error {
	key := check{c, in.Statement, in.Proof.Source}
	if err, known := s.checked[key]; known {
		return err
	}
	err := c.Check(ctx, in)
	if ctx.Err() == nil {
		if s.checked == nil {
			s.checked = map[check]error{}
		}
		s.checked[key] = err
	}
	return err
}

// fail leaves everything that is not proven undecided for one reason.
func (s *subject) fail(why *evidence.Problem) {
	s.failed = why
	for _, g := range s.looks {
		g.failed = why
	}
	for _, signer := range s.tasks.signers {
		s.unproven(signer, why)
	}
}

func (s *subject) unproven(signer policy.Signer, why *evidence.Problem) {
	if s.known[signer.ID()].Outcome != policy.Allowed {
		s.known[signer.ID()] = policy.Leaf{Problems: []*evidence.Problem{why}}
	}
}
