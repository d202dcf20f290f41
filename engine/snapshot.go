package engine

import (
	"slices"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Snapshot is an immutable set of policies. A request is decided by one.
type Snapshot struct {
	policies []policy.Policy
}

// NewSnapshot returns a Snapshot of the policies, which must not be changed
// afterwards.
func NewSnapshot(policies []policy.Policy) *Snapshot {
	return &Snapshot{policies: slices.Clone(policies)}
}

// Policies returns the policies in order.
func (s *Snapshot) Policies() []policy.Policy { return slices.Clone(s.policies) }

// selected is a policy that applies to an image.
type selected struct {
	*policy.Policy
	doubt error // why it applies although that could not be told (TRUST R16)
}

// selectFor returns the policies that apply to an image of a request.
func (s *Snapshot) selectFor(ref imageref.Reference, r policy.Request) []selected {
	var found []selected
	for i := range s.policies {
		p := &s.policies[i]
		if !p.Covers(ref) {
			continue
		}
		if p.Match == nil {
			found = append(found, selected{Policy: p})
			continue
		}
		if applies, err := p.Match.Match(r); applies || err != nil {
			found = append(found, selected{Policy: p, doubt: err})
		}
	}
	return found
}
