package server

import (
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// kyvernoDialect is the [policy.Origin] of policies whose users know Kyverno's
// words. A refusal by them begins with those, so that what reads them finds
// them.
const kyvernoDialect = "kyverno"

// maxKyverno bounds what Kyverno's words take of a message; the rest is ours.
const maxKyverno = maxMessage / 2

// kyvernoBlock collects a refusal in Kyverno's words: by policy and rule, as its
// webhook writes them. The zero block says nothing.
type kyvernoBlock struct {
	object string // kind/namespace/name
	rules  map[string]map[string]string
	size   int
}

// refused adds the policies that do not allow the image.
func (b *kyvernoBlock) refused(d engine.ImageDecision) {
	for _, p := range d.Policies {
		if p.Effective == policy.Denied || p.Effective == policy.Undecided {
			b.add(p.Origin, kyvernoMessage(d, p))
		}
	}
}

// notPinned adds the first policy that enforces, of an image without a digest.
func (b *kyvernoBlock) notPinned(d engine.ImageDecision) {
	for _, p := range d.Policies {
		if p.Mode == policy.Enforce {
			b.add(p.Origin, "missing digest for "+d.Image.Ref)
			return
		}
	}
}

// add joins the messages of a rule, each once, within maxKyverno.
func (b *kyvernoBlock) add(o policy.Origin, message string) {
	message = clip(message, maxLine)
	if o.Dialect != kyvernoDialect || b.size+len(message) > maxKyverno {
		return
	}
	if b.rules == nil {
		b.rules = make(map[string]map[string]string)
	}
	rules := b.rules[o.Name]
	if rules == nil {
		rules = make(map[string]string)
		b.rules[o.Name] = rules
	}
	const joint = "; "
	said := rules[o.Rule]
	switch {
	case said == "":
		rules[o.Rule] = message
	case slices.Contains(strings.Split(said, joint), message):
		return
	default:
		rules[o.Rule] = said + joint + message
	}
	b.size += len(message) + len(o.Name) + len(o.Rule)
}

// String returns the block, which ends in an empty line, or "".
func (b *kyvernoBlock) String() string {
	if len(b.rules) == 0 {
		return ""
	}
	rules, err := yaml.Marshal(b.rules)
	if err != nil {
		return "" // what follows says it in our words
	}
	return "\n\nresource " + b.object + " was blocked due to the following policies \n\n" + string(rules) + "\n"
}

// kyvernoMessage says in Kyverno's words why a policy does not allow an image.
func kyvernoMessage(d engine.ImageDecision, p engine.PolicyDecision) string {
	leaves := unprovenLeaves(p.Finding)
	var signatures, attestations []string
	for _, leaf := range leaves {
		if strings.HasPrefix(leaf.Where, ".attestations") {
			attestations = append(attestations, leaf.Where+": "+attestationCause(d.Image.Ref, leaf))
			continue
		}
		signatures = append(signatures, leaf.Where+": "+signatureCause(leaf))
	}
	switch {
	case len(signatures) > 0:
		return "failed to verify image " + d.Image.Ref + ": " + strings.Join(slices.Concat(signatures, attestations), "; ")
	case len(attestations) == 1:
		return "image attestations verification failed, verifiedCount: 0, requiredCount: 1, error: " + attestations[0]
	case len(attestations) > 1:
		return "image attestations verification failed, error: " + strings.Join(attestations, "; ")
	case len(p.Finding.Problems) > 0:
		return "failed to verify image " + d.Image.Ref + ": " + p.Finding.Problems[0].Sentence()
	}
	return "failed to verify image " + d.Image.Ref
}

// unprovenLeaves are the leaves that have a place in Kyverno's words and are
// part of why f is not allowed.
func unprovenLeaves(f policy.Finding) []policy.Finding {
	if f.Outcome == policy.Allowed {
		return nil
	}
	if f.Where != "" {
		return []policy.Finding{f}
	}
	var leaves []policy.Finding
	for _, child := range f.Children {
		leaves = append(leaves, unprovenLeaves(child)...)
	}
	return leaves
}

func signatureCause(f policy.Finding) string {
	p := firstProblem(f)
	switch p.Reason {
	case evidence.NotSigned:
		return "no signatures found"
	case evidence.SignerMismatch:
		return "no matching signatures: " + p.Sentence()
	default:
		return p.Sentence()
	}
}

func attestationCause(image string, f policy.Finding) string {
	p := firstProblem(f)
	switch p.Reason {
	case evidence.NotAttested:
		return "attestations not found: " + p.Sentence()
	case evidence.ConditionNotMet, evidence.ConditionFailed:
		return "attestation checks failed for " + image + ": " + p.Sentence()
	default:
		return p.Sentence()
	}
}

func firstProblem(f policy.Finding) *evidence.Problem {
	if len(f.Problems) == 0 {
		return &evidence.Problem{Reason: evidence.NotSigned, Expected: f.Expected, Got: "none"}
	}
	return f.Problems[0]
}

// kyvernoObject names the object as Kyverno does.
func (c *call) kyvernoObject() string {
	return clip(c.request.Kind.Kind+"/"+c.request.Namespace+"/"+c.request.Name, maxLine)
}
