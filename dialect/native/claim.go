package native

import (
	"errors"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

const (
	maxConditions = 20
	// maxArtifactType bounds a media type: RFC 6838 §4.2 allows 127 characters on
	// each side of the slash.
	maxArtifactType = 255
)

// leaf makes a requirement leaf of a claim: an attestation or an artifact.
type leaf func(policy.Claim) policy.Requirement

func attestationLeaf(c policy.Claim) policy.Requirement { return policy.Attestation{Claim: c} }
func artifactLeaf(c policy.Claim) policy.Requirement    { return policy.Artifact{Claim: c} }

func (w *writing) attestation(path string, r *v1alpha1.AttestationRequirement) policy.Requirement {
	claim := policy.Claim{
		Type: w.predicateType(path+".type", r.Type), Conditions: w.conditions(path+".conditions", r.Conditions),
		Dated: attest.SignedTime, Embedded: w.embedded(path+".embedded", r),
	}
	switch choice(w.compiler, path+".quantifier", r.Quantifier, v1alpha1.QuantifierAny, v1alpha1.QuantifierEvery, v1alpha1.QuantifierNewest) {
	case 1:
		claim.Quantifier = policy.Every
	case 2:
		claim.Quantifier = policy.Newest
	}
	if r.MaxAge != nil {
		if claim.MaxAge = r.MaxAge.Duration; claim.MaxAge <= 0 {
			w.Errorf(path+".maxAge", "expected more than 0, got %s: leave it out for any age", r.MaxAge.Duration)
		}
	}
	if claim.MaxAge > 0 || claim.Quantifier == policy.Newest {
		w.timeless(path+".signedBy", slices.Concat(r.SignedBy.AnyOf, r.SignedBy.AllOf))
	}
	return w.claimed(path, &r.SignedBy, claim, attestationLeaf, true)
}

// embedded reports whether statements without a signature of their own count
// (TRUST R31): each is about one platform, so they prove nothing about an index.
func (w *writing) embedded(path string, r *v1alpha1.AttestationRequirement) bool {
	switch {
	case !r.Embedded:
		return false
	case w.spec.Platform != v1alpha1.PlatformEach:
		w.Missing(path, "expected platform: Each beside it, got %s: a statement in an index is about one platform", v1alpha1.PlatformIndex)
	default:
		w.Note(path, "statements in the image's index count without a signature of their own, under a signature of the index")
	}
	return true
}

// timeless notes the signers whose statements may lack a proven time.
func (w *writing) timeless(path string, names []string) {
	named := w.flatten(names)
	for i := range w.spec.Signers {
		s := &w.spec.Signers[i]
		called := func(n policy.Signature) bool { return n.Name == s.Name }
		if slices.ContainsFunc(named, called) && mayLackTime(s.Sigstore) {
			w.Note(path, "signer %q needs no log entry: what it signs without one counts by the time that the statement states of itself, or not at all", s.Name)
		}
	}
}

// mayLackTime reports whether a signature may count of which nobody proves when
// it was made. A keyless one never does.
func mayLackTime(s *v1alpha1.SigstoreSigner) bool {
	return s != nil && s.TransparencyLog == v1alpha1.TransparencyLogIgnored && s.Timestamps != v1alpha1.TimestampsRequired &&
		s.Keyless == nil && s.GitHub == nil
}

func (w *writing) artifact(path string, r *v1alpha1.ArtifactRequirement) policy.Requirement {
	claim := policy.Claim{Type: r.Type, Conditions: w.conditions(path+".conditions", r.Conditions)}
	switch kind, sub, is := strings.Cut(r.Type, "/"); {
	case r.Type == "":
		w.Missing(path+".type", "expected an artifact type, got none")
	case !is || kind == "" || sub == "" || len(r.Type) > maxArtifactType || strings.ContainsAny(r.Type, " \t\n*"):
		w.Errorf(path+".type", "expected an artifact type such as application/spdx+json, got %q", dialect.Clip(r.Type))
	}
	if choice(w.compiler, path+".quantifier", r.Quantifier, v1alpha1.QuantifierAny, v1alpha1.QuantifierEvery) == 1 {
		claim.Quantifier = policy.EveryFound
	}
	return w.claimed(path, &r.SignedBy, claim, artifactLeaf, false)
}

func (c *compiler) predicateType(path, name string) string {
	if name == "" {
		c.Missing(path, "expected a predicate type, got none")
		return ""
	}
	uri, err := attest.PredicateType(name)
	var unknown *attest.PredicateTypeError
	if errors.As(err, &unknown) {
		c.Near(path, name, attest.PredicateTypes(), "%w", err)
	}
	return uri
}

func (c *compiler) conditions(path string, list []v1alpha1.Condition) []policy.Condition {
	if !c.AtMost(path, len(list), maxConditions) {
		return nil
	}
	var compiled []policy.Condition
	for i := range list {
		if list[i].CEL == "" && c.Partial {
			continue // it could not be read
		}
		condition, err := attest.CEL(list[i].CEL, list[i].Message)
		if err != nil {
			c.Errorf(dialect.At(path, i)+".cel", "%w", err)
			continue
		}
		compiled = append(compiled, condition)
	}
	return compiled
}

// claimed writes a claim out for those who may have signed. statements says
// that each of them must be able to sign statements.
func (w *writing) claimed(path string, by *v1alpha1.SignedBy, claim policy.Claim, newLeaf leaf, statements bool) policy.Requirement {
	if !w.ExactlyOne(path+".signedBy", dialect.Given("anyOf", by.AnyOf != nil), dialect.Given("allOf", by.AllOf != nil)) {
		w.mention(*by)
		return policy.All{}
	}
	name, names := path+".signedBy.anyOf", by.AnyOf
	if by.AllOf != nil {
		name, names = path+".signedBy.allOf", by.AllOf
	}
	w.signerNames(name, names, w.signed)
	if statements {
		w.attestors(name, names)
	}
	if by.AllOf == nil {
		return w.anyClaim(claim, names, newLeaf)
	}
	all := policy.All{}
	for _, n := range names {
		all.Of = append(all.Of, w.anyClaim(claim, []string{n}, newLeaf))
	}
	return all
}

// attestors refuses signers that sign no statements.
func (w *writing) attestors(path string, names []string) {
	for i, name := range names {
		for _, s := range w.flatten([]string{name}) {
			if _, signs := s.Signer.(policy.Attestor); signs {
				continue
			}
			if s.Name == name {
				w.Errorf(dialect.At(path, i), "expected a signer of statements, got %q, a Notation signer: it signs artifacts", dialect.Clip(name))
				break
			}
			w.Errorf(dialect.At(path, i), "expected signers of statements, got the group %q with %q, a Notation signer: it signs artifacts", dialect.Clip(name), dialect.Clip(s.Name))
			break
		}
	}
}

// anyClaim is a claim by one of the named. Without a group that is one leaf. A
// group's members must each have signed statements, which takes a tree of
// leaves for Any; what is said of all statements, or of the newest, is said of
// those of all the named together, beside the tree.
func (w *writing) anyClaim(claim policy.Claim, names []string, newLeaf leaf) policy.Requirement {
	together := claim
	together.Signers = w.flatten(names)
	grouped := slices.ContainsFunc(names, func(name string) bool { _, is := w.groups[name]; return is })
	if !grouped {
		w.left -= len(names)
		for _, name := range names {
			w.used[name] = true
		}
		return newLeaf(together)
	}
	claim.Quantifier = policy.Any
	tree := policy.AnyOf{}
	for _, name := range names {
		tree.Of = append(tree.Of, w.claim(claim, name, newLeaf))
	}
	if together.Quantifier == policy.Any {
		return tree
	}
	w.left -= len(together.Signers)
	return policy.All{Of: []policy.Requirement{newLeaf(together), tree}}
}

// claim is a claim by one signer or group.
func (w *writing) claim(claim policy.Claim, name string, newLeaf leaf) policy.Requirement {
	w.used[name] = true
	if w.left--; w.left < 0 {
		return policy.All{} // allows nothing, and is reported
	}
	if g, is := w.groups[name]; is {
		group := policy.AtLeast{Count: int(g.spec.Count), Name: name}
		for _, member := range g.spec.Of {
			group.Of = append(group.Of, w.claim(claim, member, newLeaf))
		}
		return group
	}
	claim.Signers = w.flatten([]string{name})
	return newLeaf(claim)
}

// flatten returns the signers of names, those of groups included, each once. A
// signer that could not be made is left out, which is reported.
func (w *writing) flatten(names []string) []policy.Signature {
	var found []policy.Signature
	seen := make(map[string]bool)
	var visit func([]string)
	visit = func(names []string) {
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			if s, is := w.made[name].(policy.Signature); is {
				found = append(found, s)
			}
			visit(w.groups[name].spec.Of)
		}
	}
	visit(names)
	return found
}
