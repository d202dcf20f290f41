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
			d = ImageDecision{Image: r.Images[i], Problem: panicked(p)}
		}
	}()
	return e.image(ctx, s, r, r.Images[i])
}

func panicked(p any) *evidence.Problem {
	return &evidence.Problem{Reason: evidence.Internal, Err: fmt.Errorf("panic: %v", p)}
}

// image decides one image: select, rule, resolve, gather and verify, evaluate,
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
	w := work{engine: e, request: r, decision: &d, budget: newBudget(evidence.MaxDecisionBytes)}
	w.log.began = e.options.Now()
	if stopped := s.stopped(ref, d.Digest); len(stopped) > 0 {
		w.stop(stopped)
		return d
	}
	policies := s.selectFor(ref, r)
	w.request.Puller.Operator = pullSecrets(policies)
	w.selected, w.policies = policies, policies
	w.step("select", fmt.Sprintf("%d of %d policies apply", len(policies), len(s.rules.Policies)))
	if len(policies) == 0 { // and the registry is never contacted (TRUST R8)
		d.Outcome = policy.Unmatched
		d.Problem = &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image", Got: "none"}
		d.Steps = w.log.steps
		return d
	}
	d.Pins = slices.ContainsFunc(policies, func(p selected) bool { return p.PinsKind(r.Kind) })
	if !w.rule(ctx, s) {
		return d
	}
	w.prove(ctx)
	w.unpin()
	w.combine(ctx)
	d.Private, d.Steps = w.private(), w.steps()
	if d.Pins && d.Outcome == policy.Allowed && ref.Digest().IsZero() && !d.Digest.IsZero() {
		d.Pinned = ref.Pin(d.Digest)
	}
	return d
}

// work is the state of deciding one image: of what all its digests share. What
// must be proven of one digest is a [subject].
type work struct {
	engine   *Engine
	request  Request
	decision *ImageDecision
	selected []selected // that apply
	policies []selected // of selected, those that no exception lifts
	budget   *budget    // bytes that may be read
	opened   opened     // registries
	log      log

	failed    *evidence.Problem // why the image could not be looked up
	image     *evidence.Image   // as it was read, if it had to be read first
	root      *subject          // the digest that the reference resolves to
	platforms *platforms        // of the image's index; nil if no policy asks for them
}

// log notes what is done, in order. It is not safe for concurrent use.
type log struct {
	title string // in front of each detail
	began time.Time
	steps []Step
}

func (l *log) note(now time.Time, name, detail string) {
	if l.title != "" {
		detail = l.title + ": " + detail
	}
	l.steps = append(l.steps, Step{Name: name, Detail: detail, Took: now.Sub(l.began)})
	l.began = now
}

func (w *work) step(name, detail string) { w.log.note(w.engine.options.Now(), name, detail) }

// steps are those of all digests, in a fixed order whatever ran beside what.
func (w *work) steps() []Step {
	return slices.Concat(w.log.steps, w.root.log.steps, w.platforms.steps())
}

// prove finds out what can be found out about the digest that the reference
// resolves to and, for policies that ask for it, about each platform.
func (w *work) prove(ctx context.Context) {
	flat, each := byPlatform(w.policies)
	if len(each) > 0 {
		w.platforms = w.index(ctx, each)
		if w.platforms == nil { // no index, and so its own only platform
			flat = w.policies
		}
	}
	w.root = w.subject(w.decision.Digest, flat)
	w.root.tasks.cover(w.platforms)
	if w.decision.Pins || !w.root.tasks.empty() {
		w.resolve(ctx)
	}
	w.root.digest = w.decision.Digest
	w.root.log.began = w.log.began
	w.root.index = w.image != nil && w.image.Manifest.IsIndex()
	w.root.split()
	if w.failed != nil {
		w.root.fail(w.failed)
	}
	if w.platforms == nil {
		w.root.prove(ctx)
		return
	}
	w.platforms.prove(ctx)
}

// combine combines the policies' outcomes.
func (w *work) combine(ctx context.Context) {
	w.decision.Outcome = policy.Unmatched
	w.decision.Policies = make([]PolicyDecision, len(w.selected))
	for i, p := range w.selected {
		pd := w.decided(ctx, p)
		w.decision.Policies[i] = pd
		w.decision.Lifted = append(w.decision.Lifted, pd.Lifts...)
		w.decision.Outcome = w.decision.Outcome.Worse(pd.Effective)
	}
	if w.decision.Outcome == policy.Unmatched {
		w.decision.Problem = &evidence.Problem{Reason: evidence.NoPolicy, Expected: "a policy that covers the image and enforces", Got: "only policies that report"}
	}
}

// decided is what one policy says.
func (w *work) decided(ctx context.Context, p selected) PolicyDecision {
	if len(p.lifts) > 0 {
		return p.lifted()
	}
	d := PolicyDecision{Origin: p.Origin, Mode: p.Mode, OnUndecided: p.OnUndecided, Finding: w.finding(ctx, p)}
	d.Outcome = d.Finding.Outcome
	d.Effective = w.effective(p, d)
	return d
}

// finding is what one policy finds, and says of which digest.
func (w *work) finding(ctx context.Context, p selected) policy.Finding {
	if w.platforms != nil && asksEach(p) {
		return w.platforms.finding(ctx, p)
	}
	f := w.root.evaluate(ctx, p, true)
	if f.Outcome == policy.Allowed || !w.root.index {
		return f
	}
	return titled(f, indexTitle(w.decision.Digest))
}

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
