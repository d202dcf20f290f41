package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Lift is one policy that one exception has lifted from an image.
type Lift struct {
	Exception policy.Origin
	Policy    policy.Origin
	// BreakGlass says that the use must be announced.
	BreakGlass bool
	Reason     string // the words of the exception's author
	Expires    time.Time
}

// String says by what it is lifted, and until when, with the reason.
func (l Lift) String() string {
	return fmt.Sprintf("lifted by %s %s until %s: %s", l.Exception.Kind, l.Exception, l.Expires.UTC().Format(time.RFC3339), l.Reason)
}

// rulingIndex finds the exceptions and deny lists that may mean an image.
type rulingIndex struct {
	exceptions, denials rulings
	invalid             []int // deny lists of which nobody knows what they name
}

// rulings are the exceptions, or the deny lists, by the entries of theirs that may
// mean an image.
type rulings struct {
	entries []entryOf
	named   imageIndex // of entries
	digests map[imageref.Digest][]int
	listing []int // those that name digests
}

// entryOf is a pattern of one ruling.
type entryOf struct {
	ruling  int
	pattern policy.ImagePattern
}

// match is a ruling that means an image, and by which of its entries.
type match struct {
	ruling int
	entry  string
}

// add files ruling i, which must be greater than all before.
func (x *rulings) add(i int, images policy.Images) {
	for _, p := range images.Patterns {
		x.named.add(len(x.entries), []policy.ImagePattern{p}, maxAnchors)
		x.entries = append(x.entries, entryOf{i, p})
	}
	if len(images.Digests) == 0 {
		return
	}
	x.listing = append(x.listing, i)
	if x.digests == nil {
		x.digests = map[imageref.Digest][]int{}
	}
	for _, d := range images.Digests {
		if !d.IsZero() { // that is the digest of every tag
			x.digests[d] = append(x.digests[d], i)
		}
	}
}

// of returns the rulings that mean an image, each once and in order. means says
// how a pattern must mean it.
func (x *rulings) of(ref imageref.Reference, digest imageref.Digest, means func(policy.ImagePattern, imageref.Reference) bool) []match {
	var found []match
	for _, i := range x.digests[digest] {
		found = append(found, match{i, digest.String()})
	}
	for _, i := range x.named.candidates(nil, ref) {
		if e := x.entries[i]; means(e.pattern, ref) {
			found = append(found, match{e.ruling, e.pattern.String()})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.ruling - b.ruling })
	return slices.CompactFunc(found, func(a, b match) bool { return a.ruling == b.ruling })
}

func indexRulings(r Rules) rulingIndex {
	var x rulingIndex
	for i := range r.Exceptions {
		x.exceptions.add(i, r.Exceptions[i].Images)
	}
	for i := range r.Denials {
		if r.Denials[i].Invalid != nil {
			x.invalid = append(x.invalid, i)
			continue
		}
		x.denials.add(i, r.Denials[i].Images)
	}
	return x
}

// listedAlgorithm is that of the digests of deny lists. The same content under
// another digest could be on a list under this one.
const listedAlgorithm = "sha256"

// stopped returns what deny lists say about an image: a decision for each that
// names it, or else for each that nobody can read. The policies have no say in
// it, nor whether the request names some.
func (s *Snapshot) stopped(ref imageref.Reference, digest imageref.Digest) []PolicyDecision {
	var all []PolicyDecision
	for _, m := range s.rulings.denials.of(ref, digest, policy.ImagePattern.Includes) {
		list := &s.rules.Denials[m.ruling]
		all = append(all, ruled(list, policy.Denied, &evidence.Problem{
			Reason: evidence.ImageDenied, Path: "images", Expected: "an image that no deny list names", Got: fmt.Sprintf("one that is listed as %s: %s", m.entry, list.Reason),
		}))
	}
	if len(all) > 0 {
		return all
	}
	if !digest.IsZero() && digest.Algorithm() != listedAlgorithm && len(s.rulings.denials.listing) > 0 {
		return s.unlisted(&evidence.Problem{Reason: evidence.MalformedReference, Expected: "a " + listedAlgorithm + " digest, as deny lists name", Got: "a " + digest.Algorithm() + " digest"})
	}
	for _, i := range s.rulings.invalid {
		list := &s.rules.Denials[i]
		all = append(all, ruled(list, policy.Undecided, &evidence.Problem{
			Reason: evidence.PolicyNotReady, Expected: "a deny list that compiles", Got: "one that does not", Err: list.Invalid,
		}))
	}
	return all
}

// unlisted are the decisions of the deny lists that name digests about an image
// of which only a tag is known: it may be one of theirs.
func (s *Snapshot) unlisted(failed *evidence.Problem) []PolicyDecision {
	var all []PolicyDecision
	for _, i := range s.rulings.denials.listing {
		all = append(all, ruled(&s.rules.Denials[i], policy.Undecided, &evidence.Problem{
			Reason: failed.Reason, Path: "images", Expected: "the image's " + listedAlgorithm + " digest, to look it up in the deny list", Got: "none", Host: failed.Host, Err: failed,
		}))
	}
	return all
}

func ruled(list *policy.Denial, outcome policy.Outcome, why *evidence.Problem) PolicyDecision {
	return PolicyDecision{Origin: list.Origin, Outcome: outcome, Effective: outcome, Finding: policy.Finding{
		Outcome: outcome, Expected: "an image that no deny list names", Problems: []*evidence.Problem{why},
	}}
}

// rule applies deny lists and exceptions to an image that policies apply to, and
// reports whether the policies still have to decide it.
func (w *work) rule(ctx context.Context, s *Snapshot) bool {
	now := w.engine.options.Now()
	if w.decision.Digest.IsZero() && s.asksDigest(w.request.Request, now) {
		w.resolve(ctx)
		if listed := s.rulings.denials.listing; w.failed != nil && len(listed) > 0 {
			w.stop(s.unlisted(w.failed))
			return false
		}
		if stopped := s.stopped(w.decision.Reference, w.decision.Digest); len(stopped) > 0 {
			w.stop(stopped)
			return false
		}
	}
	w.lift(s, now)
	return true
}

// asksDigest reports whether the digest that a tag names may decide about rulings.
func (s *Snapshot) asksDigest(r policy.Request, now time.Time) bool {
	return len(s.rulings.denials.listing) > 0 || slices.ContainsFunc(s.rulings.exceptions.listing, func(i int) bool {
		e := &s.rules.Exceptions[i]
		return e.Active(now) && e.HoldsFor(r)
	})
}

// stop decides the image by deny lists alone.
func (w *work) stop(by []PolicyDecision) {
	w.decision.stop(by)
	w.step("rule", fmt.Sprintf("%d deny lists: %s", len(by), w.decision.Outcome))
	w.decision.Steps = w.log.steps
}

// stop decides the image by what deny lists say, which is never that it is
// allowed.
func (d *ImageDecision) stop(by []PolicyDecision) {
	d.Outcome, d.Policies, d.Pins = policy.Undecided, by, false
	for _, p := range by {
		d.Outcome = d.Outcome.Worse(p.Effective)
	}
}

// lift notes which policies exceptions lift, and leaves the others to be decided.
// It happens anew for every request (TRUST R37).
func (w *work) lift(s *Snapshot, now time.Time) {
	d := w.decision
	w.policies = w.selected
	for _, m := range s.rulings.exceptions.of(d.Reference, d.Digest, policy.ImagePattern.Excludes) {
		e := &s.rules.Exceptions[m.ruling]
		if !e.Active(now) || !e.HoldsFor(w.request.Request) {
			continue
		}
		for j := range w.selected {
			p := &w.selected[j]
			if e.Lifts(p.Origin) {
				p.lifts = append(p.lifts, Lift{Exception: e.Origin, Policy: p.Origin, BreakGlass: e.BreakGlass, Reason: e.Reason, Expires: e.Expires})
			}
		}
	}
	lifted := func(p selected) bool { return len(p.lifts) > 0 }
	if !slices.ContainsFunc(w.selected, lifted) {
		return
	}
	w.policies = slices.DeleteFunc(slices.Clone(w.selected), lifted)
	w.step("rule", fmt.Sprintf("%d of %d policies are lifted", len(w.selected)-len(w.policies), len(w.selected)))
}

// lifted is the decision of a policy that exceptions lift: it requires nothing.
func (p selected) lifted() PolicyDecision {
	words := make([]string, len(p.lifts))
	for i, l := range p.lifts {
		words[i] = l.String()
	}
	d := PolicyDecision{
		Origin: p.Origin, Mode: p.Mode, OnUndecided: p.OnUndecided, Outcome: policy.Allowed, Effective: policy.Allowed, Lifts: p.lifts,
		Finding: policy.Finding{Path: "require", Outcome: policy.Allowed, Expected: "nothing, " + strings.Join(words, "; ")},
	}
	if p.Mode != policy.Enforce { // as it would be without the exception
		d.Effective = policy.Unmatched
	}
	return d
}

// unpin gives up a pin that only lifted policies ask for where the tag could not
// be resolved: an exception is no use in an outage otherwise.
func (w *work) unpin() {
	if !w.decision.Digest.IsZero() || len(w.policies) == len(w.selected) {
		return
	}
	kind := w.request.Kind
	w.decision.Pins = slices.ContainsFunc(w.policies, func(p selected) bool { return p.PinsKind(kind) })
}
