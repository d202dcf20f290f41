package kyverno

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// Bounds of an entry's attestors, the nested ones written out.
const (
	maxLeaves = 200
	maxNested = 8
)

// signing makes requirements of an entry's attestors.
type signing struct {
	*compiler
	variables variables
	kind      int
	// annotations are asked for where an attestor names none of its own.
	annotations map[string]string
	// statements says that it is attestations that are signed.
	statements bool
	left       int // leaves that may still be made
}

// leaf makes the requirement of one signer.
type leaf func(policy.Signature) policy.Requirement

func policyOfSignature(s policy.Signature) policy.Requirement { return s }

// sets reads attestor sets, each of which must hold. path is where they are in
// the document, where as Kyverno names them in messages.
func (s *signing) sets(path, where string, list []attestorSet, wrap leaf) []policy.Requirement {
	var all []policy.Requirement
	for i := range list {
		if made := s.set(dialect.At(path, i), dialect.At(where, i), &list[i], wrap, 0); made != nil {
			all = append(all, made)
		}
	}
	return all
}

func (s *signing) set(path, where string, set *attestorSet, wrap leaf, depth int) policy.Requirement {
	if depth > maxNested {
		s.Errorf(path, "expected at most %d attestors inside one another, got more", maxNested)
		return nil
	}
	if len(set.Entries) == 0 {
		s.Missing(path+".entries", "expected at least one entry, got none")
		return nil
	}
	var of []policy.Requirement
	for i := range set.Entries {
		here := dialect.At(path+".entries", i)
		if s.left < 0 {
			return nil
		}
		e := &set.Entries[i]
		if e.Attestor != nil {
			if s.exactlyOneAttestor(here, e) {
				of = append(of, s.set(here+".attestor", dialect.At(where+".entries", len(of))+".attestor", e.Attestor, wrap, depth+1))
			}
			continue
		}
		for _, signer := range s.entry(here, e) {
			signer.Where = dialect.At(where+".entries", len(of)) + signer.Where
			of = append(of, wrap(signer))
		}
	}
	return s.counted(path, where, set.Count, of)
}

// counted asks for as many of the entries as count says: all if it says
// nothing. Keys of one entry are entries of their own.
func (s *signing) counted(path, where string, count *int, of []policy.Requirement) policy.Requirement {
	switch {
	case len(of) == 0:
		return nil // its errors are reported
	case count != nil && *count < 0:
		s.Errorf(path+".count", "expected at least 1, got %d", *count)
	case count != nil && *count > len(of) && len(s.Errors) == 0:
		s.Errorf(path+".count", "expected at most %d, the number of entries, got %d", len(of), *count)
	case len(of) == 1:
		return of[0]
	case count == nil || *count == 0:
		return policy.All{Of: of}
	case *count == 1:
		return policy.AnyOf{Of: of}
	default:
		return policy.AtLeast{Count: *count, Of: of, Name: where}
	}
	return nil
}

// numbered makes the requirement of signers of which each must hold.
func (s *signing) numbered(where string, signers []policy.Signature, wrap leaf) []policy.Requirement {
	var all []policy.Requirement
	for i, signer := range signers {
		signer.Where = dialect.At(where+".entries", i) + signer.Where
		all = append(all, wrap(signer))
	}
	return all
}

func (s *signing) exactlyOneAttestor(path string, e *attestor) bool {
	return s.ExactlyOne(path, dialect.Given("keys", e.Keys != nil), dialect.Given("certificates", e.Certificates != nil),
		dialect.Given("keyless", e.Keyless.set), dialect.Given("attestor", e.Attestor != nil))
}

// entry returns an attestor's signers. Where is the end of their place.
func (s *signing) entry(path string, e *attestor) []policy.Signature {
	if !s.exactlyOneAttestor(path, e) {
		return nil
	}
	annotations := s.annotations
	if len(e.Annotations) > 0 {
		annotations = e.Annotations
	}
	if len(annotations) > 0 && (s.statements || s.kind != cosignType) {
		s.refuse(path+".annotations", "only cosign signatures of images carry annotations")
		return nil
	}
	switch {
	case e.Keys != nil && s.kind == notaryType:
		s.Errorf(path+".keys", "expected certificates for type Notary, got keys")
	case e.Keys != nil:
		return s.keys(path, e, annotations)
	case e.Certificates != nil && s.kind == notaryType:
		return s.notary(path+".certificates", e.Certificates)
	case e.Certificates != nil:
		s.refuse(path+".certificates", "signatures by certificates are not supported yet")
	}
	return nil // keyless is refused already
}

// notary returns the signer of type Notary: certificates that any identity may
// use, at level strict.
func (s *signing) notary(path string, certs *certificates) []policy.Signature {
	var stored []byte
	for _, f := range []struct{ name, text string }{{"cert", certs.Cert}, {"certChain", certs.CertChain}} {
		text, ok := s.text(path+"."+f.name, f.text, s.variables)
		if !ok {
			return nil
		}
		raw := []byte(text)
		if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
			raw = decoded
		}
		if len(raw) > maxMaterialBytes {
			s.Errorf(path+"."+f.name, "expected at most %d bytes, got %d", maxMaterialBytes, len(raw))
			return nil
		}
		stored = append(stored, trimLines(raw)...)
	}
	if len(bytes.TrimSpace(stored)) == 0 {
		s.Missing(path, "expected cert or certChain, got neither")
		return nil
	}
	if s.left--; s.left < 0 {
		return nil
	}
	s.Weaker(path, "every certificate that these certificates vouch for counts: Kyverno names no identity")
	made, err := s.compiler.signers.Notation(dialect.NotationSpec{
		TrustStores: []dialect.TrustStore{{Type: "ca", Certificates: stored}}, TrustedIdentities: []string{"*"}, Level: "strict",
	})
	if err != nil {
		s.Refused(err, nil, path)
		return nil
	}
	return []policy.Signature{{Signer: made}}
}
