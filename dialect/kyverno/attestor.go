package kyverno

import (
	"slices"

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
	variables  variables
	kind       int
	repository repository // of the entry
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
		dialect.Given("keyless", e.Keyless != nil), dialect.Given("attestor", e.Attestor != nil))
}

// entry returns an attestor's signers. Where is the end of their place.
func (s *signing) entry(path string, e *attestor) []policy.Signature {
	if !s.exactlyOneAttestor(path, e) {
		return nil
	}
	of := signers{path: path, attestor: e, annotations: s.annotations, repository: s.repository}
	if len(e.Annotations) > 0 {
		of.annotations = e.Annotations
	}
	if e.Repository != "" {
		of.repository = s.place(path+".repository", e.Repository)
	}
	if len(of.annotations) > 0 && (s.statements || s.kind != cosignType) {
		s.refuse(path+".annotations", "only cosign signatures of images carry annotations")
		return nil
	}
	if e.Keys == nil {
		s.onlyKeys(path, e)
	}
	switch {
	case s.kind == notaryType:
		return s.notary(of)
	case e.Keys != nil:
		return s.keys(of)
	case e.Certificates != nil:
		return s.certificate(of)
	}
	return s.keyless(of, path+".keyless", e.Keyless)
}

// onlyKeys notes what is about keys alone. sha256 is what the CRD writes where
// nobody says more.
func (s *signing) onlyKeys(path string, e *attestor) {
	if e.SignatureAlgorithm != "" && e.SignatureAlgorithm != defaultHash {
		s.Note(path+".signatureAlgorithm", "certificates bring their own: only a key's can be chosen")
	}
}

// notary returns the signer of type Notary: certificates that any identity may
// use, at level strict.
func (s *signing) notary(of signers) []policy.Signature {
	path := of.path + ".certificates"
	switch {
	case of.Keys != nil:
		s.Errorf(of.path+".keys", "expected certificates for type Notary, got keys")
		return nil
	case of.Keyless != nil:
		s.Errorf(of.path+".keyless", "expected certificates for type Notary, got keyless")
		return nil
	}
	cert, ok := s.material(path+".cert", of.Certificates.Cert)
	chain, alsoOK := s.material(path+".certChain", of.Certificates.CertChain)
	if !ok || !alsoOK {
		return nil
	}
	stored := slices.Concat(cert, chain)
	if len(stored) == 0 {
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
