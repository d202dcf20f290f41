package sigstore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// certificateParty holds a certificate of an authority that the policy names.
type certificateParty struct {
	pinned      *x509.Certificate // nil: any of the authority's with the subject
	key         publicKey         // of pinned
	authorities []authority       // none: pinned alone is trusted
	subject     Match
	log         Log // what the options ask of it, for messages
	now         func() time.Time
}

// CertificateOptions say which certificate must have signed, or whose.
type CertificateOptions struct {
	Options
	// Certificate is the certificate that must have signed, in PEM. With it a
	// signature that brings no certificate counts if it verifies with its key.
	Certificate []byte
	// Chain are the authorities in PEM, intermediates first and the root last;
	// the trusted root's do not count. Without, the Certificate is trusted as it
	// is.
	Chain []byte
	// Subject limits without a Certificate whose certificates count, by their
	// only subject alternative name. It is needed unless AnySubject.
	Subject    Match
	AnySubject bool
	// Now returns the time at which certificates must be valid where nothing
	// proves when a signature was made; nil accepts no such signature.
	Now func() time.Time
}

// NewCertificate returns the signer with a certificate. Where a log or a
// timestamp proves when a signature was made the chain must have been valid
// then, else it must be now, and the proof ends with it (TRUST R26, R35).
func NewCertificate(o CertificateOptions) (*Signer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p := certificateParty{subject: o.Subject, log: o.TransparencyLog, now: o.Now}
	switch {
	case len(o.Certificate) == 0 && len(o.Chain) == 0:
		return nil, errors.New("certificate: expected a certificate or a chain of authorities, got neither")
	case len(o.Certificate) > 0 && (!o.Subject.IsZero() || o.AnySubject):
		return nil, errors.New("subject: expected none beside a certificate, which has its own")
	case len(o.Certificate) == 0 && o.Subject.IsZero() && !o.AnySubject:
		return nil, errors.New("subject: expected one with a chain alone, got none")
	case !o.AnySubject && (o.Subject.admitsStrangers(strangers[:]) || o.Subject.admitsAnyOwner()):
		return nil, fmt.Errorf("subject: expected a pattern that does not admit everybody's identities, got %s", o.Subject)
	}
	var err error
	if len(o.Chain) > 0 {
		if p.authorities, err = parseAuthority(o.Chain); err != nil {
			return nil, fmt.Errorf("chain: %w", err)
		}
	}
	if len(o.Certificate) > 0 {
		if err := p.pin(o.Certificate); err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
	}
	material := materialOf(o.TrustedRoot)
	if p.pinned != nil { // a bundle may name its key in its place
		material = keyParty{key: p.key}.material(o.TrustedRoot)
	}
	return newSigner(p, o.Options, material), nil
}

// pin makes the party the holder of one certificate.
func (p *certificateParty) pin(text []byte) error {
	certificates, err := parseCertificates(text)
	if err != nil {
		return err
	}
	if n := len(certificates); n != 1 {
		return fmt.Errorf("expected one certificate, got %d", n)
	}
	p.pinned = certificates[0]
	if p.pinned.IsCA {
		return errors.New("expected the certificate of a signer, got one of an authority: it belongs into the chain")
	}
	if p.key, err = newPublicKey(p.pinned.PublicKey, 0); err != nil {
		return err
	}
	uses := p.pinned.ExtKeyUsage
	if (len(uses) > 0 || len(p.pinned.UnknownExtKeyUsage) > 0) && !slices.Contains(uses, x509.ExtKeyUsageCodeSigning) && !slices.Contains(uses, x509.ExtKeyUsageAny) {
		return errors.New("expected extended key usage codeSigning, got a certificate for something else")
	}
	if p.authorities == nil {
		return nil
	}
	_, err = chainsAt(p.authorities, holder{certificate: p.pinned}, moments{times: []time.Time{p.pinned.NotBefore}})
	if err != nil && evidence.ProblemOf(err).Reason == evidence.CertificateUntrusted {
		return err
	}
	return nil
}

// parseAuthority reads the chain of one authority, the root last.
func parseAuthority(text []byte) ([]authority, error) {
	certificates, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	for _, c := range certificates {
		if !c.IsCA {
			return nil, fmt.Errorf("expected certificates of authorities, got %s, which is none", quote(nameOf(c)))
		}
	}
	last := len(certificates) - 1
	if err := checkOrder(certificates); err != nil {
		return nil, err
	}
	return []authority{{root: certificates[last], intermediates: certificates[:last]}}, nil
}

// checkOrder checks that each certificate is issued by the next one.
func checkOrder(certificates []*x509.Certificate) error {
	for i, c := range certificates[1:] {
		if err := certificates[i].CheckSignatureFrom(c); err != nil {
			return fmt.Errorf("expected each certificate before the one that issued it and the root last, got %s before %s: %w", quote(nameOf(certificates[i])), quote(nameOf(c)), err)
		}
	}
	return nil
}

// parseCertificates reads PEM that holds certificates and nothing else.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxKeyBytes {
		return nil, fmt.Errorf("expected at most %d bytes, got %d", maxKeyBytes, len(text))
	}
	var certificates []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
			return nil, errors.New("expected PEM, got text outside its blocks")
		}
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("expected a PEM block, got one that does not parse")
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("expected a PEM block of type \"CERTIFICATE\", got %q", block.Type)
		}
		if len(certificates) > maxChain {
			return nil, fmt.Errorf("expected at most %d certificates, got more", maxChain+1)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if err := checkKeys(c); err != nil {
			return nil, err
		}
		certificates = append(certificates, c)
	}
	if len(certificates) == 0 {
		return nil, errors.New("expected a certificate in PEM, got none")
	}
	return certificates, nil
}

func (p certificateParty) identify(h *hasher) {
	h.add("certificate")
	if p.pinned != nil {
		h.add(string(p.pinned.Raw))
	}
	for _, a := range p.authorities {
		h.add("authority", string(a.root.Raw))
		for _, c := range a.intermediates {
			h.add(string(c.Raw))
		}
	}
	p.subject.identify(h)
	h.add(fmt.Sprint(p.now != nil))
}

// describe returns "certificate for" its name and the beginning of its
// fingerprint, or whose certificates by which authority.
func (p certificateParty) describe() string {
	if p.pinned != nil {
		return "certificate sha256:" + fingerprintOf(p.pinned)[:shortFingerprint] + "… for " + quote(nameOf(p.pinned))
	}
	subject := "any certificate"
	if !p.subject.IsZero() {
		subject = "a certificate for " + p.subject.String()
	}
	return subject + " by authority " + quote(nameOf(p.authorities[0].root))
}

func fingerprintOf(c *x509.Certificate) string {
	s := sha256.Sum256(c.Raw)
	return hex.EncodeToString(s[:])
}

// holder returns the key of the certificate that came, or of the one that is
// asked for if none came.
func (p certificateParty) holder(c presented) (holder, error) {
	if p.pinned != nil && c.leaf == nil {
		return holder{key: p.key, certificate: p.pinned}, nil
	}
	h, err := c.certified(p)
	if err != nil || p.pinned == nil {
		return h, err
	}
	if !h.certificate.Equal(p.pinned) {
		return holder{}, mismatchOf(p, c.got)
	}
	h.claim = "" // it is the one that is expected
	return h, nil
}

func (p certificateParty) judge(h holder, times proven) (verdict, error) {
	at, v := moments{times: times.times()}, verdict{}
	if len(at.times) > 0 {
		v.made = slices.MinFunc(at.times, time.Time.Compare)
	} else {
		if p.now == nil {
			return verdict{}, h.timeless(p.log, "a certificate")
		}
		at = moments{times: []time.Time{p.now()}, unproven: true}
	}
	chains := [][]*x509.Certificate{{h.certificate}}
	var err error
	if p.authorities != nil {
		chains, err = chainsAt(p.authorities, h, at)
	} else if t, c := outsideOf(chains[0], at.times); c != nil {
		err = h.outside(at, t, c)
	}
	if err != nil {
		return verdict{}, err
	}
	if v.made.IsZero() {
		first := slices.MinFunc(chains[0], func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		v.expires = first.NotAfter
	}
	return p.named(v, h, times)
}

// named adds who has signed. Two keys of one authority's for one subject are one
// signer (TRUST R28).
func (p certificateParty) named(v verdict, h holder, times proven) (verdict, error) {
	f := facts{}
	if p.pinned != nil {
		f.identity = nameOf(h.certificate)
		v.identity, v.who = keyIdentity(h.key), p.describe()
		v.testimony = testimonyOf(describeCertificate(h.certificate, f), times)
		return v, nil
	}
	var err error
	if f.identity, err = identityOf(h.certificate); err != nil {
		return verdict{}, err
	}
	if !p.subject.IsZero() && !p.subject.matches(f.identity) {
		return verdict{}, &evidence.Problem{Reason: evidence.IdentityMismatch, Expected: p.describe(), Got: quote(f.identity)}
	}
	id := newHasher()
	id.add(string(p.authorities[0].root.Raw), f.identity)
	v.identity, v.who = "certificate:"+id.sum(), quote(f.identity)+" by authority "+quote(nameOf(p.authorities[0].root))
	v.testimony = testimonyOf(describeCertificate(h.certificate, f), times)
	return v, nil
}
