package engine

import (
	"errors"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Rules are everything that requests are decided by.
type Rules struct {
	Policies   []policy.Policy
	Exceptions []policy.Exception
	Denials    []policy.Denial
}

// Snapshot is an immutable set of rules. A request is decided by one.
type Snapshot struct {
	rules    Rules
	policies policyIndex
	rulings  rulingIndex
}

// NewSnapshot returns a Snapshot of the policies, which must not be changed
// afterwards.
func NewSnapshot(policies []policy.Policy) *Snapshot { return NewSnapshotOf(Rules{Policies: policies}) }

// NewSnapshotOf returns a Snapshot of the rules, which must not be changed
// afterwards.
func NewSnapshotOf(r Rules) *Snapshot {
	s := &Snapshot{rules: Rules{
		Policies: slices.Clone(r.Policies), Exceptions: slices.Clone(r.Exceptions), Denials: slices.Clone(r.Denials),
	}}
	s.policies = indexPolicies(s.rules.Policies)
	s.rulings = indexRulings(s.rules)
	return s
}

// Policies returns the policies in order.
func (s *Snapshot) Policies() []policy.Policy { return slices.Clone(s.rules.Policies) }

// Exceptions returns the exceptions in order, those that have ended included.
func (s *Snapshot) Exceptions() []policy.Exception { return slices.Clone(s.rules.Exceptions) }

// Denials returns the deny lists in order.
func (s *Snapshot) Denials() []policy.Denial { return slices.Clone(s.rules.Denials) }

// selected is a policy that applies to an image.
type selected struct {
	*policy.Policy
	doubt error // why it applies although that could not be told (TRUST R16)
	// require is what the policy requires, and what the caller asks for beside
	// it.
	require policy.Requirement
	lifts   []Lift // why it requires nothing now
}

// selectFor returns the policies that apply to an image of a request.
func (s *Snapshot) selectFor(ref imageref.Reference, r Request) []selected {
	var found []selected
	room := shareOf(len(r.Images))
	for _, i := range s.policies.candidates(ref, r) {
		p := &s.rules.Policies[i]
		if !r.names(p) {
			continue
		}
		// The request first: what a tenant's policy asks of images costs nobody
		// else.
		applies, err := true, error(nil)
		if p.Match != nil {
			applies, err = p.Match.Match(r.Request)
		}
		if !applies && err == nil {
			continue
		}
		covers, tooMuch := room.cover(&s.policies, i, p, ref)
		if covers {
			found = append(found, selected{Policy: p, doubt: errors.Join(err, tooMuch), require: r.beside(p, ref)})
		}
	}
	return found
}

// names reports whether the policy is one that the request may be decided by:
// those that it names, or else those that are for all.
func (r Request) names(p *policy.Policy) bool {
	if len(r.Policies) == 0 {
		return p.ByName == ""
	}
	return p.ByName != "" && slices.Contains(r.Policies, p.ByName)
}

// beside adds what the caller asks for to what a policy that it names requires.
func (r Request) beside(p *policy.Policy, ref imageref.Reference) policy.Requirement {
	if len(r.Extra) == 0 || p.ByName == "" || p.Require == nil {
		return p.Require
	}
	signers := policy.Signatures(p.Require)
	if len(signers) == 0 {
		return p.Require
	}
	all := policy.All{Of: []policy.Requirement{p.Require}}
	for _, x := range r.Extra {
		if x.Images == nil || x.Images.Includes(ref) { // doubt asks for more, never for less
			claim := x.Artifact
			claim.Signers = signers
			all.Of = append(all.Of, policy.Artifact{Claim: claim})
		}
	}
	return all
}

// pullSecrets are the operator's Secrets that the policies name, each once.
func pullSecrets(policies []selected) []evidence.SecretName {
	var names []evidence.SecretName
	for _, p := range policies {
		for _, n := range p.PullSecrets {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}
