package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// guarded decides one image; a panic leaves it undecided (TRUST R48).
func (e *Engine) guarded(ctx context.Context, s *Snapshot, r Request, i int) (d ImageDecision) {
	defer func() {
		if p := recover(); p != nil {
			d = ImageDecision{Image: r.Images[i], Problem: &evidence.Problem{Reason: evidence.Internal, Err: fmt.Errorf("panic: %v", p)}}
		}
	}()
	return e.image(ctx, s, r, r.Images[i])
}

// image decides one image: select, resolve, gather and verify, evaluate,
// combine.
func (e *Engine) image(ctx context.Context, s *Snapshot, r Request, image workload.Image) ImageDecision {
	d := ImageDecision{Image: image}
	if s == nil {
		d.Problem = &evidence.Problem{Reason: evidence.PolicyNotReady, Expected: "policies to decide by", Got: "none loaded yet"}
		return d
	}
	ref, err := e.options.Parser.Parse(image.Ref)
	if err != nil {
		d.Outcome = policy.Denied
		d.Problem = &evidence.Problem{Reason: evidence.MalformedReference, Expected: "an image reference", Got: fmt.Sprintf("%.300q", image.Ref), Err: err}
		return d
	}
	d.Reference, d.Digest = ref, ref.Digest()
	policies := s.selectFor(ref, r)
	r.Puller.Operator = pullSecrets(policies)
	w := work{engine: e, request: r, decision: &d, policies: policies, started: e.options.Now()}
	w.step("select", fmt.Sprintf("%d of %d policies apply", len(policies), len(s.policies)))
	if len(policies) == 0 { // and the registry is never contacted (TRUST R8)
		d.Outcome = policy.Unmatched
		d.Problem = &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image", Got: "none"}
		return d
	}
	d.Pins = slices.ContainsFunc(policies, func(p selected) bool { return p.PinsKind(r.Kind) })
	w.tasks = tasksOf(policies)
	w.known, w.stated, w.found = map[policy.SignerID]policy.Leaf{}, map[statementTask]stated{}, map[imageref.Digest]*artifact{}
	w.checked = map[check]error{}
	w.prove(ctx)
	w.combine(ctx)
	d.Private = w.private()
	if d.Pins && d.Outcome == policy.Allowed && ref.Digest().IsZero() && !d.Digest.IsZero() {
		d.Pinned = ref.Pin(d.Digest)
	}
	return d
}

// work is the state of deciding one image.
type work struct {
	engine   *Engine
	request  Request
	decision *ImageDecision
	policies []selected
	started  time.Time

	tasks       tasks
	known       map[policy.SignerID]policy.Leaf // about signatures
	stated      map[statementTask]stated        // about attestations
	found       map[imageref.Digest]*artifact   // artifacts that were looked at
	order       []imageref.Digest               // of found
	budget      *budget                         // bytes that artifacts may cost
	checked     map[check]error                 // conditions, each evaluated once
	findings    []policy.Finding                // of the policies, as of the last evaluation
	failed      *evidence.Problem               // why nothing could be looked up
	problems    []*evidence.Problem             // of the evidence as a whole
	whole       bool                            // the evidence is all that there is
	credentials string                          // identity of what the registry is read with, once it is open
	operators   operators                       // of the registry, if it tells
}

func (w *work) step(name, detail string) {
	now := w.engine.options.Now()
	w.decision.Steps = append(w.decision.Steps, Step{Name: name, Detail: detail, Took: now.Sub(w.started)})
	w.started = now
}

// satisfied reports whether each policy allows by what is known so far: nothing
// more needs to be found out then, whatever other signers may have signed. What
// was proven before does not count: it is only for what cannot be found out.
func (w *work) satisfied(ctx context.Context) bool { return w.weigh(ctx, false) }

// weigh evaluates the policies and reports whether all allow. final also counts
// what was proven before, for policies that allow by it.
func (w *work) weigh(ctx context.Context, final bool) bool {
	w.findings = w.findings[:0]
	all := true
	for _, p := range w.policies {
		f := w.evaluate(ctx, p, final)
		w.findings = append(w.findings, f)
		all = all && f.Outcome == policy.Allowed
	}
	return all
}

// combine combines the policies' outcomes.
func (w *work) combine(ctx context.Context) {
	w.weigh(ctx, true)
	w.decision.Outcome = policy.Unmatched
	w.decision.Policies = make([]PolicyDecision, len(w.policies))
	for i, p := range w.policies {
		pd := PolicyDecision{Origin: p.Origin, Mode: p.Mode, OnUndecided: p.OnUndecided, Finding: w.findings[i]}
		pd.Outcome = pd.Finding.Outcome
		pd.Effective = w.effective(p, pd)
		w.decision.Policies[i] = pd
		w.decision.Outcome = w.decision.Outcome.Worse(pd.Effective)
	}
	if w.decision.Outcome == policy.Unmatched {
		w.decision.Problem = &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image and enforces", Got: "only policies that report"}
	}
}

func (w *work) evaluate(ctx context.Context, p selected, final bool) policy.Finding {
	switch {
	case p.Invalid != nil:
		return undecided(&evidence.Problem{Reason: evidence.PolicyNotReady, Expected: "a policy that compiles", Got: "one that does not", Err: p.Invalid})
	case p.doubt != nil:
		return undecided(&evidence.Problem{Reason: evidence.SelectionFailed, Expected: "to know whether the policy applies", Got: "an error", Err: p.doubt})
	}
	return policy.Evaluate(ctx, p.require, policy.Input{
		Facts: facts{work: w, before: final && p.OnUndecided == policy.AllowIfProvenBefore},
		Image: w.decision.Reference, Digest: w.decision.Digest, Request: w.request.Request, Now: w.engine.options.Now(), Private: w.private(),
		Check: w.check,
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
func (w *work) check(ctx context.Context, c policy.Condition, in policy.ConditionInput) error {
	key := check{c, in.Statement, in.Proof.Source}
	if err, known := w.checked[key]; known {
		return err
	}
	err := c.Check(ctx, in)
	if ctx.Err() == nil {
		w.checked[key] = err
	}
	return err
}

// private reports that what statements say is not for this caller: the
// operator's credentials read it (TRUST R36).
func (w *work) private() bool { return w.operators != nil && w.operators.OperatorCredentials() }

func undecided(p *evidence.Problem) policy.Finding {
	return policy.Finding{Path: "require", Outcome: policy.Undecided, Problems: []*evidence.Problem{p}}
}

// effective is what a policy contributes to the image's outcome.
func (w *work) effective(p selected, d PolicyDecision) policy.Outcome {
	switch {
	case p.Mode != policy.Enforce: // reported, neither in the way nor in place of a policy that enforces (TRUST R15)
		return policy.Unmatched
	case d.Outcome == policy.Undecided && p.OnUndecided == policy.AllowUndecidedUnsafe && w.outage(d.Finding.Problems):
		return policy.Allowed
	}
	return d.Outcome
}

// outage reports that the problems are all outages of hosts that the operator
// named: the only ones that `onUndecided: Allow` covers (TRUST R41).
func (w *work) outage(problems []*evidence.Problem) bool {
	if len(problems) == 0 {
		return false
	}
	// That a group is not complete follows from what its signers say.
	problems = slices.DeleteFunc(slices.Clone(problems), func(p *evidence.Problem) bool { return p.Reason == evidence.ThresholdNotReached })
	return len(problems) > 0 && !slices.ContainsFunc(problems, func(p *evidence.Problem) bool {
		return !p.Reason.Transient() || p.Host == "" || !w.engine.options.NamedHost(p.Host)
	})
}

// repository names the image's repository for look-ups.
func (w *work) repository() imageref.Repository { return w.decision.Reference.Repository() }
