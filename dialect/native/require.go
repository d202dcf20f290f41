package native

import (
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

const (
	maxRequirements = 50
	maxNames        = 100 // of anyOf, allOf and a group
	// maxLeaves bounds a policy's tree with its groups written out: groups of
	// groups multiply.
	maxLeaves = 1000
)

// checkGroups checks the groups and reports those that contain themselves, so that
// they can be written out.
func (c *compiler) checkGroups(s signed) {
	for _, name := range s.names {
		g, is := s.groups[name]
		if !is {
			continue
		}
		c.signerNames(g.path+".of", g.spec.Of, s)
		switch count, members := int(g.spec.Count), len(g.spec.Of); {
		case count < 1:
			c.Missing(g.path+".count", "expected at least 1, got %d", count)
		case members > 0 && count > members:
			c.Errorf(g.path+".count", "expected at most %d, the number of members, got %d", members, count)
		}
	}
	done := make(map[string]bool)
	for _, name := range s.names {
		c.cycles(s, name, nil, done)
	}
}

// cycles walks the members of a group, depth first. A group that is part of a
// cycle is left without members: nothing may write it out.
func (c *compiler) cycles(s signed, name string, through []string, done map[string]bool) {
	if i := slices.Index(through, name); i >= 0 {
		g := s.groups[name]
		c.Errorf(g.path+".of", "expected no group that contains itself, got %s", strings.Join(append(slices.Clone(through[i:]), name), " > "))
		g.spec.Of = nil
		s.groups[name] = g
		return
	}
	if done[name] {
		return
	}
	through = append(through, name)
	for _, member := range s.groups[name].spec.Of {
		c.cycles(s, member, through, done)
	}
	done[name] = true
}

// signerNames checks a list that names signers.
func (c *compiler) signerNames(path string, names []string, s signed) {
	if len(names) == 0 {
		c.Missing(path, "expected at least one signer, got none")
	}
	if !c.AtMost(path, len(names), maxNames) {
		return
	}
	c.unique(path, names)
	for i, name := range names {
		if name == "" && c.Partial {
			continue // it could not be read
		}
		if _, known := s.made[name]; !known {
			c.unknownSigner(dialect.At(path, i), name, s)
		}
	}
}

func (c *compiler) unknownSigner(path, name string, s signed) {
	if len(s.names) == 0 {
		c.Missing(path, "expected a name of spec.signers, got %q", dialect.Clip(name))
		return
	}
	const listed = 10 // more names than that help nobody
	names := s.names[:min(len(s.names), listed)]
	c.Near(path, name, s.names, "expected a name of spec.signers (%s), got %q", strings.Join(names, ", "), dialect.Clip(name))
}

// require returns the policy's requirement: every item must hold.
func (c *compiler) require(s signed) policy.Requirement {
	const path = "spec.require"
	if len(c.spec.Require) == 0 {
		c.Missing(path, "expected at least one requirement, got none: the policy would ask for nothing")
	}
	if !c.AtMost(path, len(c.spec.Require), maxRequirements) {
		return nil
	}
	w := writing{compiler: c, signed: s, left: maxLeaves, used: make(map[string]bool)}
	all := policy.All{}
	for i := range c.spec.Require {
		all.Of = append(all.Of, w.item(dialect.At(path, i), &c.spec.Require[i]))
	}
	if w.left < 0 {
		c.Errorf(path, "expected at most %d signers, groups written out, got more", maxLeaves)
	}
	c.unused(w)
	return all
}

// unused reports signers that no requirement reaches. Of an unused group its
// members are not reported too: they are in use once the group is.
func (c *compiler) unused(w writing) {
	if c.Partial || w.left < 0 {
		return
	}
	member := make(map[string]bool)
	for i := range c.spec.Signers {
		if g := c.spec.Signers[i].AtLeast; g != nil {
			for _, name := range g.Of {
				member[name] = true
			}
		}
	}
	for i := range c.spec.Signers {
		name := c.spec.Signers[i].Name
		if _, named := w.made[name]; named && !w.used[name] && !member[name] {
			c.Errorf(dialect.At("spec.signers", i)+".name", "nothing requires signer %q: name it in spec.require, or leave it out", dialect.Clip(name))
		}
	}
}

// writing writes requirements out to the signers that they name.
type writing struct {
	*compiler
	signed
	left int // signers that may still be written
	used map[string]bool
}

func (w *writing) item(path string, r *v1alpha1.Requirement) policy.Requirement {
	w.ExactlyOne(path, dialect.Given("signature", r.Signature != nil), dialect.Given("attestation", r.Attestation != nil), dialect.Given("artifact", r.Artifact != nil))
	var one []policy.Requirement
	if r.Signature != nil {
		one = append(one, w.signedBy(path+".signature", r.Signature))
	}
	if r.Attestation != nil {
		one = append(one, w.attestation(path+".attestation", r.Attestation))
	}
	if r.Artifact != nil {
		one = append(one, w.artifact(path+".artifact", r.Artifact))
	}
	if len(one) != 1 {
		return policy.All{} // allows nothing, and is reported
	}
	return one[0]
}

// mention marks the signers of a requirement that is refused anyway, so that
// they are not reported as unused besides.
func (w *writing) mention(by v1alpha1.SignedBy) {
	for _, name := range slices.Concat(by.AnyOf, by.AllOf) {
		w.requirement(name)
	}
}

func (w *writing) signedBy(path string, by *v1alpha1.SignedBy) policy.Requirement {
	if !w.ExactlyOne(path, dialect.Given("anyOf", by.AnyOf != nil), dialect.Given("allOf", by.AllOf != nil)) {
		w.mention(*by)
		return policy.All{}
	}
	if by.AllOf != nil {
		w.signerNames(path+".allOf", by.AllOf, w.signed)
		return policy.All{Of: w.requirements(by.AllOf)}
	}
	w.signerNames(path+".anyOf", by.AnyOf, w.signed)
	return policy.AnyOf{Of: w.requirements(by.AnyOf)}
}

func (w *writing) requirements(names []string) []policy.Requirement {
	of := make([]policy.Requirement, len(names))
	for i, name := range names {
		of[i] = w.requirement(name)
	}
	return of
}

func (w *writing) requirement(name string) policy.Requirement {
	w.used[name] = true
	if w.left--; w.left < 0 {
		return policy.All{} // allows nothing, and is reported
	}
	if g, is := w.groups[name]; is {
		return policy.AtLeast{Count: int(g.spec.Count), Of: w.requirements(g.spec.Of), Name: name}
	}
	if made := w.made[name]; made != nil {
		return made
	}
	return policy.All{} // its signer could not be made, which is reported
}
