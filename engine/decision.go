package engine

import (
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// Request asks whether images may run.
type Request struct {
	policy.Request
	Images []workload.Image
	// Puller is whose credentials read the registry.
	Puller evidence.Puller
	// CanPin reports that the door can replace a tag by the digest that was
	// verified. Where it cannot, tags are resolved anew (TRUST R40).
	CanPin bool
	// Policies are names under which the caller chooses policies
	// ([policy.Policy.ByName]). With any, those apply and no others; an image
	// that none of them covers is unmatched.
	Policies []string
	// Extra are asked for beside what the chosen policies ask.
	Extra []Extra
}

// Extra is something that the caller asks for beside a policy: artifacts signed
// by whoever that policy trusts. It applies to the policies that the request
// names, for images that Images covers. A policy that asks for no signature has
// nobody who could have signed, and nothing is added to it.
type Extra struct {
	Images policy.ImagePattern
	// Artifact's signers are those of the policy; its own are ignored.
	Artifact policy.Claim
}

// Decision is the answer to a Request, images in its order.
type Decision struct {
	Images []ImageDecision
}

// Outcome returns the outcome of the whole request: denied if one image is,
// else undecided if one is, else unmatched if one is, else allowed. A decision
// over no images is undecided.
func (d Decision) Outcome() policy.Outcome {
	if len(d.Images) == 0 {
		return policy.Undecided
	}
	worst := policy.Allowed
	for _, i := range d.Images {
		switch {
		case i.Outcome == policy.Denied:
			return policy.Denied
		case i.Outcome == policy.Undecided:
			worst = policy.Undecided
		case i.Outcome == policy.Unmatched && worst == policy.Allowed:
			worst = policy.Unmatched
		}
	}
	return worst
}

// ImageDecision is what was decided about one image.
type ImageDecision struct {
	Image     workload.Image
	Reference imageref.Reference // zero if the name is malformed
	Digest    imageref.Digest    // what was verified; zero if it is not known
	// Outcome combines the policies after their modes:
	// Denied > Undecided > Allowed > Unmatched.
	Outcome policy.Outcome
	// Policies are those that apply, in the order of the snapshot: or the deny
	// lists that decide the image, which leave no policy a say.
	Policies []PolicyDecision
	// Lifted are the policies among them that exceptions lift, by each exception
	// that does.
	Lifted []Lift
	// Problem is set if no enforcing policy decided the image: a malformed name,
	// no policy that enforces, no snapshot.
	Problem *evidence.Problem
	// Pins reports that an enforcing policy wants this image pinned to a digest.
	Pins bool
	// Pinned is the image's new spelling, with the digest that was verified:
	// set if Pins, the outcome is Allowed and the digest was not written yet.
	Pinned string
	// Private reports that the registry was read with the operator's own
	// credentials, so that findings hold nothing that statements say (TRUST R36).
	Private bool
	// Steps are what was done, in order, for people.
	Steps []Step
}

// Enforced reports that at least one policy in mode Enforce applies and that
// all of those allow by what they require, which may be nothing: a static
// allowance has no evidence. It is stricter than Outcome, which is also Allowed
// where a policy excuses an outage or an exception lifts it.
func (d ImageDecision) Enforced() bool {
	enforced := false
	for _, p := range d.Policies {
		if p.Mode != policy.Enforce {
			continue
		}
		if p.Outcome != policy.Allowed || len(p.Lifts) > 0 {
			return false
		}
		enforced = true
	}
	return enforced
}

// Excepted reports that exceptions lift at least one policy in mode Enforce, and
// that all others of those allow by what they require.
func (d ImageDecision) Excepted() bool {
	excepted := false
	for _, p := range d.Policies {
		if p.Mode != policy.Enforce {
			continue
		}
		if p.Outcome != policy.Allowed {
			return false
		}
		excepted = excepted || len(p.Lifts) > 0
	}
	return excepted
}

// PolicyDecision is what one policy says about one image.
type PolicyDecision struct {
	Origin      policy.Origin
	Mode        policy.Mode
	OnUndecided policy.OnUndecided
	// Outcome is the policy's own, before its mode.
	Outcome policy.Outcome
	// Effective is what the policy contributes: Outcome in mode Enforce, unless
	// OnUndecided excuses it; Unmatched in the modes that only report.
	Effective policy.Outcome
	Finding   policy.Finding
	// Lifts, if any, are why the policy requires nothing: its Outcome is then
	// Allowed and its Finding says by which exceptions.
	Lifts []Lift
}

// Step is one thing that was done to decide an image.
type Step struct {
	Name   string // select, rule, resolve, platforms, gather, extend, verify, statements, embedded, artifacts
	Detail string // begins with the platform, if it is about one of several
	Took   time.Duration
}
