package sigstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
)

// authority is a certificate authority with which chains end.
type authority struct {
	root          *x509.Certificate
	intermediates []*x509.Certificate
	from, until   time.Time // when it counts; zero is unbounded
}

// authoritiesOf returns those of a trusted root.
func authoritiesOf(t *TrustedRoot) []authority {
	var all []authority
	for _, ca := range t.root.FulcioCertificateAuthorities() {
		if f, is := ca.(*root.FulcioCertificateAuthority); is {
			all = append(all, authority{root: f.Root, intermediates: f.Intermediates, from: f.ValidityPeriodStart, until: f.ValidityPeriodEnd})
		}
	}
	return all
}

// moments are the times at which a chain must be valid, which are at least one:
// those that are proven, or now if none is.
type moments struct {
	times    []time.Time
	unproven bool
}

// chainsAt returns the chains from a certificate to one of the authorities that
// were valid at all the moments: each certificate of a chain, the authority's own
// period, and every use that the chain allows (TRUST R26; CVE-2026-24122).
// Certificates that came along may be between.
func chainsAt(authorities []authority, h holder, at moments) ([][]*x509.Certificate, error) {
	leaf := withoutHandled(h.certificate)
	if leaf.IsCA {
		return nil, h.claiming(badCertificate("a use of its own", "one of an authority", nil))
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return nil, h.claiming(badCertificate("key usage digitalSignature", "one without", nil))
	}
	failed := untrusted(h, nil)
	for i, a := range authorities {
		chains, err := a.chains(leaf, h, at)
		if err == nil {
			return chains, nil
		}
		// That a trusted certificate was not valid says more than that another
		// authority has not issued it.
		if p := evidence.ProblemOf(err); p.Reason != evidence.CertificateUntrusted || i == 0 {
			failed = err
		}
	}
	return nil, failed
}

func (a authority) chains(leaf *x509.Certificate, h holder, at moments) ([][]*x509.Certificate, error) {
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: at.times[0],
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	options.Roots.AddCert(a.root)
	for _, c := range slices.Concat(a.intermediates, h.chain) {
		options.Intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(options)
	if err != nil {
		return nil, chainProblem(h, at, err)
	}
	for _, t := range at.times {
		if (!a.from.IsZero() && t.Before(a.from)) || (!a.until.IsZero() && t.After(a.until)) {
			return nil, h.notValid(at, t, fmt.Sprintf("authority %s, which counts %s", quote(nameOf(a.root)), period(a.from, a.until)))
		}
	}
	var valid [][]*x509.Certificate
	for _, chain := range chains {
		if _, outside := outsideOf(chain, at.times); outside == nil {
			valid = append(valid, chain)
		}
	}
	if len(valid) == 0 {
		t, c := outsideOf(chains[0], at.times)
		return nil, h.outside(at, t, c)
	}
	return valid, nil
}

// outsideOf returns a certificate of a chain that was not valid at one of the
// times, and that time; nil if there is none.
func outsideOf(chain []*x509.Certificate, times []time.Time) (time.Time, *x509.Certificate) {
	for _, t := range times {
		for _, c := range chain {
			if t.Before(c.NotBefore) || t.After(c.NotAfter) {
				return t, c
			}
		}
	}
	return time.Time{}, nil
}

// withoutHandled returns the certificate with the extensions taken off the list
// of unhandled ones that we do handle: a name that is neither URI nor address
// makes the alternative names one of them.
func withoutHandled(c *x509.Certificate) *x509.Certificate {
	if len(c.UnhandledCriticalExtensions) == 0 {
		return c
	}
	copied := *c
	copied.UnhandledCriticalExtensions = nil
	for _, id := range c.UnhandledCriticalExtensions {
		if !id.Equal(subjectAltName) {
			copied.UnhandledCriticalExtensions = append(copied.UnhandledCriticalExtensions, id)
		}
	}
	return &copied
}

// outside is the problem of a certificate of the holder's chain that is not valid
// at one of the moments.
func (h holder) outside(at moments, t time.Time, c *x509.Certificate) error {
	what := fmt.Sprintf("certificate %s valid %s", quote(nameOf(c)), period(c.NotBefore, c.NotAfter))
	if c.Equal(h.certificate) {
		h.claim = "" // which the certificate's name says
	}
	return h.notValid(at, t, what)
}

func (h holder) notValid(at moments, t time.Time, with string) error {
	got := "one"
	if h.claim != "" {
		got = h.claim
	}
	if at.unproven {
		got += " that nothing proves the time of, judged now (" + second(t) + "), with " + with
	} else {
		got += " made at " + second(t) + " with " + with
	}
	return &evidence.Problem{Reason: evidence.CertificateInvalid, Expected: "a signature made while every certificate of its chain was valid", Got: got}
}

// chainProblem classifies what crypto/x509 says of a chain.
func chainProblem(h holder, at moments, err error) error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) {
		if unknown := (x509.UnhandledCriticalExtension{}); errors.As(err, &unknown) {
			return h.claiming(badCertificate("no critical extension that is not known", "one with", nil))
		}
		return untrusted(h, err)
	}
	switch {
	case invalid.Reason == x509.Expired && invalid.Cert != nil:
		return h.outside(at, at.times[0], invalid.Cert)
	case invalid.Reason == x509.IncompatibleUsage:
		return h.claiming(badCertificate("extended key usage codeSigning throughout its chain", "one without", nil))
	}
	return h.claiming(badCertificate("a valid chain", "", err))
}

func untrusted(h holder, err error) error {
	return h.claiming(&evidence.Problem{
		Reason: evidence.CertificateUntrusted, Expected: "a certificate by an authority that the signer trusts",
		Got: "one issued by " + quote(h.certificate.Issuer.String()), Err: err,
	})
}
