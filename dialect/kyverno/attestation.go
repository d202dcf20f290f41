package kyverno

import (
	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// stated is an attestation of an entry and where it is.
type stated struct {
	path, where string
	*attestation
	byEntry bool // the entry itself names signers, as of old, which follow
	signers []policy.Signature
}

// attestation returns the requirement of an attestation: signed by the
// attestors as their sets say, and by the entry's own signers, where every statement of
// the type that one of them signed must meet the conditions.
func (s *signing) attestation(a stated) policy.Requirement {
	path, where := a.path, a.where
	if s.kind == notaryType {
		s.refuse(path, "attestations of type Notary are not supported yet")
		return nil
	}
	if a.Type != "" && a.PredicateType != "" && a.Type != a.PredicateType {
		s.Errorf(path+".predicateType", "expected type alone, got both")
	}
	field, name := path+".type", a.Type
	if a.Type == "" {
		name = a.PredicateType
	}
	if name == "" {
		s.Missing(field, "expected a predicate type, got none")
		return nil
	}
	predicateType, ok := s.text(field, name, s.variables)
	if !ok {
		return nil
	}
	conditions, ok := s.conditions(path+".conditions", a.Conditions)
	if !ok {
		return nil
	}
	own := *s
	own.statements = true
	wrap := func(signer policy.Signature) policy.Requirement {
		return policy.Attestation{Claim: policy.Claim{
			Type: predicateType, Signers: []policy.Signature{signer}, Quantifier: policy.Every, Conditions: conditions, Where: signer.Where,
		}}
	}
	if len(a.Attestors) == 0 && !a.byEntry {
		s.Missing(path+".attestors", "expected attestors, got none: nobody would have signed the statements")
	}
	all := own.sets(path+".attestors", where+".attestors", a.Attestors, wrap)
	all = append(all, own.numbered(dialect.At(where+".attestors", len(a.Attestors)), a.signers, wrap)...)
	s.left = own.left
	if len(all) == 1 {
		return all[0]
	}
	return policy.All{Of: all}
}

// conditions compiles what the predicate must say, which all blocks do.
func (s *signing) conditions(path string, blocks []conditionBlock) ([]policy.Condition, bool) {
	if len(blocks) == 0 {
		return nil, true
	}
	read := make([]jmes.Block, len(blocks))
	for i, b := range blocks {
		here := dialect.At(path, i)
		read[i] = jmes.Block{Any: s.tests(here+".any", b.Any), All: s.tests(here+".all", b.All)}
	}
	if len(s.Errors) > 0 {
		return nil, false
	}
	compiled, err := jmes.Compile(read, jmes.Options{Context: s.variables})
	if err != nil {
		s.Errorf(path, "%w", err)
		return nil, false
	}
	return []policy.Condition{compiled}, true
}

func (s *signing) tests(path string, list []conditionTest) []jmes.Test {
	if list == nil {
		return nil
	}
	read := make([]jmes.Test, len(list))
	for i, t := range list {
		for _, f := range []dialect.Field{
			dialect.Given("key", t.Key != nil), dialect.Given("operator", t.Operator != ""), dialect.Given("value", t.Value != nil),
		} {
			if !f.Set {
				s.Missing(dialect.At(path, i)+"."+f.Name, "expected one, got none")
			}
		}
		read[i] = jmes.Test{Key: t.Key, Operator: t.Operator, Value: t.Value, Message: t.Message}
	}
	return read
}
