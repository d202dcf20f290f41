package server

import (
	"fmt"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// verdict is what a door makes of a decision. The zero verdict is over no
// images and denies.
type verdict struct {
	images   []judged
	refused  []string // lines; not empty if any image is refused
	warnings []string
	patch    []patchOp
	kyverno  kyvernoBlock // refused, in the words of one dialect
}

// judged is what a door makes of one image.
type judged struct {
	admitted bool
	outcome  policy.Outcome
	reason   evidence.Reason // "" if it was allowed
	refused  []string        // lines; not empty unless it is admitted
}

// verdict judges each image of a decision about the object.
func (c *call) verdict(object workload.Object, d engine.Decision) verdict {
	v := verdict{images: make([]judged, 0, len(d.Images)), kyverno: kyvernoBlock{object: c.kyvernoObject()}}
	for _, image := range d.Images {
		before := len(v.refused)
		j := c.judge(&v, object, image)
		j.refused = v.refused[before:len(v.refused):len(v.refused)]
		v.images = append(v.images, j)
	}
	return v
}

func (c *call) judge(v *verdict, object workload.Object, d engine.ImageDecision) judged {
	switch d.Outcome {
	case policy.Allowed:
		return c.allowed(v, object, d)
	case policy.Unmatched:
		return c.unmatched(v, d)
	case policy.Denied, policy.Undecided:
	}
	v.refused = append(v.refused, refusals(d)...)
	v.kyverno.refused(d)
	return judged{outcome: d.Outcome, reason: reasonOf(d)}
}

// allowed judges an image that the policies allow. Where they pin, the
// validating door takes only an image that has a digest (TRUST R39), and the
// mutating door adds it; a mirror Pod cannot be changed and is excepted from
// both (TRUST R46).
func (c *call) allowed(v *verdict, object workload.Object, d engine.ImageDecision) judged {
	if len(d.Policies) == 0 { // an empty set never allows (TRUST R48)
		p := &evidence.Problem{Reason: evidence.Internal, Expected: "a policy that allows the image", Got: "none"}
		v.refused = append(v.refused, line(d.Image.Ref, undecidedNote(policy.Undecided), p))
		return judged{outcome: policy.Undecided, reason: p.Reason}
	}
	if c.door == validate && d.Pins && d.Reference.Digest().IsZero() && !object.Mirror && !c.pinsElsewhere(d) {
		p := &evidence.Problem{Reason: evidence.NotPinned, Expected: "an image named by digest", Got: "a tag"}
		if cause := excused(d); cause != nil { // an outage was excused, but a tag cannot be pinned without its registry
			p.Err = cause
		}
		v.refused = append(v.refused, line(d.Image.Ref+": "+pinning(d, object.Kind), "", p))
		v.kyverno.notPinned(d)
		return judged{outcome: policy.Denied, reason: p.Reason}
	}
	v.warnings = append(v.warnings, liftWarnings(d)...)
	for _, p := range d.Policies {
		if w := admittedAnyway(d, p); w != "" {
			v.warnings = append(v.warnings, w)
		}
	}
	if c.door == mutate && d.Pins && d.Pinned != "" && d.Pinned != d.Image.Ref && !object.Mirror {
		v.patch = append(v.patch, patchOp{Op: "replace", Path: d.Image.Pointer, Value: d.Pinned})
	}
	return judged{admitted: true, outcome: policy.Allowed}
}

// excused is why a policy could not decide an image that is allowed all the
// same, or nil.
func excused(d engine.ImageDecision) *evidence.Problem {
	for _, p := range d.Policies {
		if p.Mode == policy.Enforce && p.Outcome == policy.Undecided && len(p.Finding.Problems) > 0 {
			return p.Finding.Problems[0]
		}
	}
	return nil
}

// unmatched judges an image that no policy in mode Enforce covers (TRUST R20);
// what the others report is passed on.
func (c *call) unmatched(v *verdict, d engine.ImageDecision) judged {
	j := judged{admitted: true, outcome: policy.Unmatched, reason: evidence.NoPolicy}
	why := "not verified: no policy covers this image"
	if len(d.Policies) > 0 {
		why = "not enforced: only policies that report cover this image"
	}
	v.warnings = append(v.warnings, liftWarnings(d)...)
	for _, p := range d.Policies {
		if w := admittedAnyway(d, p); w != "" {
			v.warnings = append(v.warnings, w)
		}
	}
	switch c.server.options.Unmatched {
	case UnmatchedAllow:
	case UnmatchedWarn:
		v.warnings = append(v.warnings, warning(d.Image.Ref+": "+why))
	case UnmatchedDeny:
		j.admitted = false
	default:
		j.admitted = false
	}
	if !j.admitted {
		v.refused = append(v.refused, refusals(d)...)
	}
	return j
}

// admittedAnyway is what the user is told of a policy that does not allow and
// yet admits: one in mode Warn, or one that excuses an outage (TRUST R41).
func admittedAnyway(d engine.ImageDecision, p engine.PolicyDecision) string {
	switch {
	case p.Outcome == policy.Allowed, p.Mode == policy.Audit:
		return ""
	case p.Mode == policy.Warn:
		return warning(policyLine(d, p))
	}
	return warning("admitted although it could not be decided: " + policyLine(d, p))
}

// pinning names the first policy that enforces.
func pinning(d engine.ImageDecision, kind string) string {
	for _, p := range d.Policies {
		if p.Mode == policy.Enforce {
			return p.Origin.String()
		}
	}
	return kind
}

// reasonOf returns the reason that tells most about an image that is not
// allowed.
func reasonOf(d engine.ImageDecision) evidence.Reason {
	for _, p := range d.Policies {
		if p.Effective == d.Outcome && len(p.Finding.Problems) > 0 {
			return p.Finding.Problems[0].Reason
		}
	}
	return problemOf(d).Reason
}

// answer turns the verdict into the answer to the caller.
func (v verdict) answer() answer {
	var refused, open int
	for _, j := range v.images {
		if j.admitted {
			continue
		}
		refused++
		if j.outcome == policy.Undecided {
			open++
		}
	}
	if refused == 0 && len(v.refused) == 0 && len(v.images) > 0 {
		return answer{Allowed: true, Warnings: warned(v.warnings), Patch: v.patch}
	}
	first := fmt.Sprintf("%d of %d images may not run", refused, len(v.images))
	if open > 0 {
		first += fmt.Sprintf("; %d could not be decided", open)
	}
	return answer{Message: messageAfter(v.kyverno.String(), first, v.refused), Refused: v.refused, Warnings: warned(v.warnings)}
}
