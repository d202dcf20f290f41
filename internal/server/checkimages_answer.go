package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// checkResult is one image that was verified: an operation of a JSON patch, and
// the container and image beside it.
type checkResult struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
	Name  string `json:"name"`
	Image string `json:"image"`
}

// results returns the images that were verified, or the first failure in the
// order of the protocol: signatures of all images, then their attestations.
func (c *checkCall) results(ctx context.Context, d engine.Decision) ([]checkResult, *failure) {
	results := []checkResult{}
	log := c.server.decisions(ctx, c.started, func() []slog.Attr {
		return []slog.Attr{slog.String("door", string(checkimages)), slog.String("trustPolicy", clip(c.asked.trustPolicy, maxName))}
	})
	var signatures, attestations []string
	for i, image := range d.Images {
		verdict, failed := c.judgeImage(c.asked.images[i], image)
		c.record(ctx, log, image, failed)
		switch {
		case failed.signature != "":
			signatures = append(signatures, failed.signature)
		case failed.attestation != "":
			attestations = append(attestations, failed.attestation)
		case verdict != nil:
			results = append(results, *verdict)
		}
	}
	failed := append(signatures, attestations...)
	switch len(failed) {
	case 0:
		return results, nil
	case 1:
		return nil, notAcceptable(failed[0])
	}
	more := fmt.Sprintf("; and %d more of %d images", len(failed)-1, len(d.Images))
	return nil, notAcceptable(clip(failed[0], maxMessage-len(more)) + more)
}

// imageFailure is why an image fails: one of the two is set, or it does not.
type imageFailure struct{ signature, attestation string }

// judgeImage returns the image's result, nothing for one that its trust policy
// allows unverified (level skip), or why it fails. One that an exception lifts it
// from is pinned like any other: exceptions and deny lists spoke of that digest,
// and it is what must run (TRUST R39). Where the tag could not be looked up there
// is nothing to pin, and an exception is for outages too.
func (c *checkCall) judgeImage(asked checkImage, d engine.ImageDecision) (*checkResult, imageFailure) {
	switch {
	case d.Outcome == policy.Allowed && d.Excepted() && d.Digest.IsZero():
		return nil, imageFailure{}
	case d.Outcome == policy.Allowed && !d.Enforced() && !d.Excepted():
		return nil, imageFailure{signature: asked.failed("no policy that enforces allows the image")}
	case d.Outcome == policy.Allowed && !proven(d) && !d.Excepted():
		return nil, imageFailure{}
	case d.Outcome == policy.Allowed && d.Digest.IsZero():
		return nil, imageFailure{signature: asked.failed("expected the digest that was verified, got none")}
	case d.Outcome == policy.Allowed:
		value := asked.base() + "@" + d.Digest.String()
		return &checkResult{Op: "replace", Path: asked.pointer, Value: value, Name: asked.container, Image: value}, imageFailure{}
	case d.Outcome == policy.Unmatched:
		return nil, imageFailure{signature: asked.failed(fmt.Sprintf("no statement of trust policy %q has %q in its registryScopes", clip(c.asked.trustPolicy, maxName), clip(asked.base(), maxLine)))}
	}
	if leaves := failedLeaves(d); len(leaves) > 0 && !slices.ContainsFunc(leaves, func(f policy.Finding) bool { return f.Where == "" }) {
		return nil, imageFailure{attestation: c.unattested(asked, d, leaves[0])}
	}
	return nil, imageFailure{signature: asked.failed(unsigned(asked, d) + strings.Join(refusals(d), "; "))}
}

// failed is the sentence of an image that does not verify. The protocol names
// the image, not the container.
func (i checkImage) failed(why string) string {
	where := "container " + i.name + ": "
	switch i.list {
	case listInit:
		where = "init container " + i.name + ": "
	case listEphemeral:
		where = "ephemeral container: " + i.name + ": "
	}
	return "failed to verify " + where + "failed to verify image " + i.String() + ": " + why
}

// unsigned is the sentence for an image without a signature, to be followed by
// ours.
func unsigned(asked checkImage, d engine.ImageDecision) string {
	if d.Outcome != policy.Denied || !hasReason(d, evidence.NotSigned) || d.Digest.IsZero() {
		return ""
	}
	return fmt.Sprintf("no signature is associated with %q, make sure the artifact was signed successfully: ", asked.base()+"@"+d.Digest.String())
}

func hasReason(d engine.ImageDecision, reason evidence.Reason) bool {
	return slices.ContainsFunc(d.Policies, func(p engine.PolicyDecision) bool {
		return slices.ContainsFunc(p.Finding.Problems, func(p *evidence.Problem) bool { return p.Reason == reason })
	})
}

// unattested is the sentence of an image whose artifacts do not do. leaf is the
// finding of the first that does not.
func (c *checkCall) unattested(asked checkImage, d engine.ImageDecision, leaf policy.Finding) string {
	const prefix = "failed to verify attestatations: failed to verify attestations: " // as the protocol spells it
	name := asked.base() + "@" + d.Digest.String()
	ours := strings.Join(sentences(leaf), "; ") + undecidedNote(leaf.Outcome)
	if leaf.Outcome != policy.Denied || len(leaf.Problems) == 0 {
		return prefix + name + ": " + ours
	}
	switch first := leaf.Problems[0]; {
	case first.Reason == evidence.ConditionNotMet || first.Reason == evidence.ConditionFailed:
		return prefix + "failed to verify conditions " + asked.ref() + " " + d.Digest.String() + ": failed to evaluate conditions: " + ours
	case first.Reason == evidence.NotAttested && first.Got == "none":
		return prefix + "failed to find attestation " + c.asked.typeAt(leaf.Where) + " in image " + name + ": " + ours
	}
	return prefix + name + ": " + ours
}

// typeAt returns the type that a place of the request asks for.
func (r checkRequest) typeAt(where string) string {
	for _, a := range r.attestations {
		for _, t := range a.types {
			if t.where == where {
				return clip(t.name, maxName)
			}
		}
	}
	return ""
}

// sentences are the problems of a finding, each with its place.
func sentences(f policy.Finding) []string {
	var all []string
	for i, p := range f.Problems {
		if i == maxProblems {
			return append(all, fmt.Sprintf("and %d more", len(f.Problems)-i))
		}
		all = append(all, place(p.Path)+p.Sentence())
	}
	if len(all) == 0 {
		all = []string{"expected " + orElse(f.Expected, "a proof") + ", got none"}
	}
	return all
}

// failedLeaves are the leaves that are in the way, in order.
func failedLeaves(d engine.ImageDecision) []policy.Finding {
	var found []policy.Finding
	var walk func(policy.Finding)
	walk = func(f policy.Finding) {
		switch {
		case f.Outcome == policy.Allowed:
		case len(f.Children) == 0:
			found = append(found, f)
		default:
			for _, child := range f.Children {
				walk(child)
			}
		}
	}
	for _, p := range d.Policies {
		if p.Effective == policy.Denied || p.Effective == policy.Undecided {
			walk(p.Finding)
		}
	}
	return found
}

// proven reports whether anything was proven about the image, rather than
// allowed whatever the evidence.
func proven(d engine.ImageDecision) bool {
	var proves func(policy.Finding) bool
	proves = func(f policy.Finding) bool { return len(f.Proofs) > 0 || slices.ContainsFunc(f.Children, proves) }
	return slices.ContainsFunc(d.Policies, func(p engine.PolicyDecision) bool { return p.Mode == policy.Enforce && proves(p.Finding) })
}

// record counts and logs what was decided of an image.
func (c *checkCall) record(ctx context.Context, log decisionLog, d engine.ImageDecision, failed imageFailure) {
	l := logged{decision: d, outcome: d.Outcome}
	switch {
	case failed == imageFailure{}:
		l.outcome = policy.Allowed
	case d.Outcome == policy.Allowed: // and yet refused here
		l.outcome, l.reason = policy.Undecided, evidence.Internal
	default:
		l.reason = reasonOf(d)
	}
	if failed != (imageFailure{}) {
		l.refused = []string{clip(failed.signature+failed.attestation, maxLine)}
	}
	c.server.metrics.decided(checkimages, l.outcome, l.reason)
	if len(d.Lifted) > 0 {
		c.server.lifted(ctx, checkimages, "image "+clip(d.Image.Ref, maxLine), []engine.ImageDecision{d})
	}
	log.write(ctx, l)
}
