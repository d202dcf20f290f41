package native

import (
	"regexp"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxSigners bounds the signers of a policy: each may be asked about each
// signature of an image.
const maxSigners = 100

// signed are the policy's signers by name. A name whose signer could not be
// made is there with a nil requirement: it is no unknown name.
type signed struct {
	names  []string // in the policy's order, each once
	made   map[string]policy.Requirement
	groups map[string]group
}

type group struct {
	path string
	spec v1alpha1.SignerGroup
}

var signerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func (c *compiler) signed() signed {
	s := signed{made: make(map[string]policy.Requirement), groups: make(map[string]group)}
	if len(c.spec.Signers) == 0 {
		c.Missing("spec.signers", "expected at least one signer, got none")
	}
	if !c.AtMost("spec.signers", len(c.spec.Signers), maxSigners) {
		return s
	}
	paths := make(map[string]string)
	same := make(map[policy.SignerID]string)
	for i := range c.spec.Signers {
		path, spec := dialect.At("spec.signers", i), &c.spec.Signers[i]
		requirement := c.signer(path, spec)
		if !c.signerName(path+".name", spec.Name) {
			continue
		}
		if other, twice := paths[spec.Name]; twice {
			c.Errorf(path+".name", "expected each name once, got %q again: it is %s", spec.Name, other)
			continue
		}
		paths[spec.Name] = path
		if made, ok := requirement.(policy.Signature); ok {
			if other, twice := same[made.Signer.ID()]; twice {
				// One signature would then stand for both (TRUST R28).
				c.Errorf(path, "expected each signer once, got the one of %q again under the name %q", other, spec.Name)
			}
			same[made.Signer.ID()] = spec.Name
		}
		s.names = append(s.names, spec.Name)
		s.made[spec.Name] = requirement
		if spec.AtLeast != nil {
			s.groups[spec.Name] = group{path: path + ".atLeast", spec: *spec.AtLeast}
		}
	}
	c.checkGroups(s)
	return s
}

func (c *compiler) signerName(path, name string) bool {
	if name == "" {
		c.Missing(path, "expected a name, got none")
		return false
	}
	if len(name) > maxLabelName || !signerName.MatchString(name) {
		c.Errorf(path, "expected at most %d lower-case letters, digits and '-', got %q", maxLabelName, dialect.Clip(name))
		return false
	}
	return true
}

// signer makes a signer's requirement; a group's comes later, when all names
// are known.
func (c *compiler) signer(path string, s *v1alpha1.Signer) policy.Requirement {
	if !c.ExactlyOne(path, dialect.Given("sigstore", s.Sigstore != nil), dialect.Given("notation", s.Notation != nil), dialect.Given("atLeast", s.AtLeast != nil)) {
		return nil
	}
	var made policy.Signer
	switch {
	case s.Sigstore != nil:
		made = c.sigstore(path+".sigstore", s.Sigstore)
	case s.Notation != nil:
		made = c.notation(path+".notation", s.Notation)
	}
	if made == nil {
		return nil
	}
	return policy.Signature{Name: s.Name, Signer: made}
}
