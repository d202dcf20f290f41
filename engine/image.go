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
	policies := s.selectFor(ref, r.Request)
	w := work{engine: e, request: r, decision: &d, policies: policies, started: e.options.Now()}
	w.step("select", fmt.Sprintf("%d of %d policies apply", len(policies), len(s.policies)))
	if len(policies) == 0 { // and the registry is never contacted (TRUST R8)
		d.Outcome = policy.Unmatched
		d.Problem = &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image", Got: "none"}
		return d
	}
	d.Pins = slices.ContainsFunc(policies, func(p selected) bool { return p.PinsKind(r.Kind) })
	w.signers()
	w.prove(ctx)
	w.combine()
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

	leaves   []policy.Signer // distinct by ID, in order
	known    map[policy.SignerID]policy.Leaf
	findings []policy.Finding  // of the policies, as of the last evaluation
	failed   *evidence.Problem // why nothing could be looked up
}

func (w *work) step(name, detail string) {
	now := w.engine.options.Now()
	w.decision.Steps = append(w.decision.Steps, Step{Name: name, Detail: detail, Took: now.Sub(w.started)})
	w.started = now
}

// signers collects the signers that the policies ask for, each once.
func (w *work) signers() {
	w.known = map[policy.SignerID]policy.Leaf{}
	seen := map[policy.SignerID]bool{}
	for _, p := range w.policies {
		if p.Invalid != nil {
			continue
		}
		for _, s := range policy.Signatures(p.Require) {
			if id := s.Signer.ID(); !seen[id] {
				seen[id] = true
				w.leaves = append(w.leaves, s.Signer)
			}
		}
	}
}

// satisfied reports whether each policy allows by what is known so far: nothing
// more needs to be found out then, whatever other signers may have signed. What
// was proven before does not count: it is only for what cannot be found out.
func (w *work) satisfied() bool { return w.weigh(w.leaf) }

// weigh evaluates the policies and reports whether all allow.
func (w *work) weigh(leaf func(selected, policy.Signature) policy.Leaf) bool {
	w.findings = w.findings[:0]
	all := true
	for _, p := range w.policies {
		f := evaluate(p, leaf)
		w.findings = append(w.findings, f)
		all = all && f.Outcome == policy.Allowed
	}
	return all
}

// combine combines the policies' outcomes.
func (w *work) combine() {
	w.weigh(w.leafOrProvenBefore)
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

func evaluate(p selected, leaf func(selected, policy.Signature) policy.Leaf) policy.Finding {
	switch {
	case p.Invalid != nil:
		return undecided(&evidence.Problem{Reason: evidence.PolicyNotReady, Expected: "a policy that compiles", Got: "one that does not", Err: p.Invalid})
	case p.doubt != nil:
		return undecided(&evidence.Problem{Reason: evidence.SelectionFailed, Expected: "to know whether the policy applies", Got: "an error", Err: p.doubt})
	}
	return policy.Evaluate(p.Require, func(s policy.Signature) policy.Leaf { return leaf(p, s) })
}

func (w *work) leaf(_ selected, s policy.Signature) policy.Leaf { return w.known[s.Signer.ID()] }

func (w *work) leafOrProvenBefore(p selected, s policy.Signature) policy.Leaf {
	leaf := w.known[s.Signer.ID()]
	if leaf.Outcome == policy.Undecided && p.OnUndecided == policy.AllowIfProvenBefore {
		return w.provenBefore(s.Signer, leaf)
	}
	return leaf
}

func undecided(p *evidence.Problem) policy.Finding {
	return policy.Finding{Path: "require", Outcome: policy.Undecided, Problems: []*evidence.Problem{p}}
}

// provenBefore allows a leaf that could not be told now if it was proven within
// the last day (TRUST R35).
func (w *work) provenBefore(s policy.Signer, leaf policy.Leaf) policy.Leaf {
	if w.decision.Digest.IsZero() {
		return leaf
	}
	p, _, before := w.engine.recall(newProofKey(w.decision.Reference.Repository(), w.decision.Digest, s))
	if !before {
		return leaf
	}
	proofs := slices.Clone(p.proofs)
	for i := range proofs {
		proofs[i].Notes = append(slices.Clone(proofs[i].Notes), "proven before, at "+p.at.UTC().Format(time.RFC3339)+"; it could not be verified now")
	}
	return policy.Leaf{Outcome: policy.Allowed, Proofs: proofs}
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
