package kyverno

import (
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// legacy reports whether an entry names signers by itself, as in Kyverno 1.5 and
// 1.6.
func (e *entry) legacy() bool { return e.Key != "" || e.legacyKeyless() }

func (e *entry) legacyKeyless() bool {
	return e.Issuer != "" || e.Subject != "" || e.Roots != "" || e.AdditionalExtensions != nil
}

// legacy reads the signers that an entry names by itself.
func (s *signing) legacy(path string, e *entry) []policy.Signature {
	of := signers{attestor: &attestor{}, path: path, annotations: s.annotations, repository: s.repository}
	switch {
	case !e.legacy():
		return nil
	case e.Key != "" && e.legacyKeyless():
		s.Errorf(path+".key", "expected a key or a keyless identity, got both")
		return nil
	case s.kind == notaryType && e.Key != "":
		s.Errorf(path+".key", "expected none beside type Notary, which signs with certificates")
		return nil
	case s.kind == notaryType:
		s.Errorf(path+".issuer", "expected none beside type Notary, which signs with certificates")
		return nil
	case e.Key != "":
		return s.legacyKey(of, path+".key", e.Key)
	}
	return s.keyless(of, path, &keyless{Issuer: e.Issuer, Subject: e.Subject, Roots: e.Roots, AdditionalExtensions: e.AdditionalExtensions})
}

// legacyKey reads the key of Kyverno 1.5, which knew no log (TRUST R25).
func (s *signing) legacyKey(of signers, path, text string) []policy.Signature {
	s.Weaker(path, "this form never asked for a transparency log: use of a stolen key leaves no trace")
	c, ok := s.shared(of, of.path, nil, nil)
	keys, found := s.inlineKeys(path, text)
	if !ok || !found {
		return nil
	}
	c.LogIgnored = true
	return s.signers(keys, dialect.KeySpec{SigstoreSpec: c.SigstoreSpec}, c, path)
}
