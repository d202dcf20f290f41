package kyverno

import (
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// certificate returns the signer with a certificate of an authority of its own:
// the certificate itself, or any that the authority vouches for.
func (s *signing) certificate(of signers) []policy.Signature {
	path, held := of.path+".certificates", of.Certificates
	c, ok := s.shared(of, path, held.Rekor, held.CTLog)
	cert, certOK := s.material(path+".cert", held.Cert)
	chain, chainOK := s.material(path+".certChain", held.CertChain)
	if !ok || !certOK || !chainOK || !s.unlogged(path, chain, held.CTLog) {
		return nil
	}
	if cert == nil && chain == nil {
		s.Missing(path, "expected cert or certChain, got neither")
		return nil
	}
	if s.left--; s.left < 0 {
		return nil
	}
	spec := dialect.CertificateSpec{SigstoreSpec: c.SigstoreSpec, Certificate: cert, Chain: chain, AnySubject: cert == nil}
	if spec.AnySubject {
		s.Weaker(path+".certChain", "every certificate that these certificates vouch for counts: Kyverno names no identity")
	}
	c.fields[dialect.FieldCertificate], c.fields[dialect.FieldChain] = path+".cert", path+".certChain"
	made, err := s.compiler.signers.Certificate(spec)
	return s.made(made, err, ".certificates", c, path)
}

// unlogged refuses to leave out what the field asks for unless it says
// otherwise: certificates of such an authority are in no certificate log, and
// none is asked.
func (s *signing) unlogged(path string, chain []byte, l *ctlog) bool {
	if chain == nil || l != nil && l.IgnoreSCT {
		return true
	}
	s.refuse(path+".ctlog", "of a certificate by an authority that the policy names no promise by a certificate transparency log is asked: say so with ignoreSCT: true, or write a Fulcio's certificate as keyless with roots")
	return false
}
